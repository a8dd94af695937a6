/** Products of engine native over live columns: native/live.h. */
import { at, planned } from "./by-address.ts";
import type { LiveKernels, Weight } from "./kernels.ts";
import type { NativeWeight } from "./native-buffers.ts";
import type { NativeCalls } from "./native-calls.ts";

/** `calls`: once the arena is allocated; `panels`: address of a weight's panels for nt. */
export function nativeLive(calls: () => NativeCalls, panels: (w: Weight) => number): LiveKernels {
  return {
    gemmNT(out, outRow, a, aRow, w, { columns: { list, counts }, time, times, rows }) {
      const [N, K] = w.tensor.shape as [number, number];
      return calls().liveProduct(
        times,
        rows,
        N,
        K,
        at(a, aRow, K),
        panels(w),
        at(list, time, K),
        at(counts, time, 1),
        at(out, outRow, N),
      );
    },
    gemmNN(out, outRow, g, gRow, w, { columns: { list, counts }, time, times, rows }) {
      const [N, K] = w.tensor.shape as [number, number];
      return calls().liveProductNN(
        times,
        rows,
        N,
        K,
        at(g, gRow, N),
        planned((w as NativeWeight).turned, w, "live").ptr,
        at(list, time, K),
        at(counts, time, 1),
        at(out, outRow, K),
      );
    },
    gemmTN(out, g, gRow, x, xRow, { columns: { list, counts }, time, times, rows }) {
      const [N, K] = out.shape as [number, number];
      return calls().liveProductTN(
        times,
        rows,
        N,
        K,
        at(g, gRow, N),
        at(x, xRow, K),
        at(list, time, K),
        at(counts, time, 1),
        out.ptr,
      );
    },
    mask(out, outRow, a, aRow, factors, { time, times, rows }) {
      const K = factors.rowLength;
      calls().maskRows(at(out, outRow, K), at(a, aRow, K), at(factors, time, K), times, rows, K);
    },
  };
}
