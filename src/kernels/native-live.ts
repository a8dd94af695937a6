/** Products of engine native over live columns: native/live.h. */
import { at } from "./by-address.ts";
import type { LiveKernels, Weight } from "./kernels.ts";
import type { NativeCalls } from "./native-calls.ts";

/**
 * Time of a product over live columns beside the dense one's, where all columns live: AVX-512, W2's and W4's shapes with
 * half of them live (`node lab/native/run.mjs avx512 --program live`), twice what was found.
 */
const COST = { nn: 1.42, tn: 1.1 };

/**
 * `calls`: once the arena is allocated; `panels`: address of a weight's panels for nt; `full`: share of nonzeros from
 * which the sparse products run dense.
 */
export function nativeLive(
  calls: () => NativeCalls,
  panels: (w: Weight) => number,
  full: (product: "nn" | "tn", columns: number) => number,
): LiveKernels {
  return {
    pays(product, density, { columns: { list, counts }, time, times }) {
      let count = 0;
      for (let t = time; t < time + times; t++) count += counts.data[t]!;
      const K = list.rowLength;
      return (count / (times * K)) * COST[product] < Math.min(1, density / full(product, K));
    },
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
        panels(w),
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
