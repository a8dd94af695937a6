/** Products over live columns, of both engines over the arena's bytes: native/live.h, assembly/live.ts. */
import { at } from "./by-address.ts";
import type { LiveKernels, Weight } from "./kernels.ts";

/** Addresses, `rows` to each of `times`; a list of live columns and their counts. Products return multiply-accumulates. */
export interface LiveCalls {
  /** out (times * rows, N) += a b, b (K, N) in panels. */
  liveProduct: LiveCall;
  /** Live columns of out (times * rows, K) += g w, w (N, K) in the panels of liveProduct. */
  liveProductNN: LiveCall;
  /** out (N, K) += g^T x. */
  liveProductTN: LiveCall;
  maskRows(out: number, a: number, factors: number, times: number, rows: number, cols: number): void;
}

/** left: a or g; right: panels or x. */
type LiveCall = (
  times: number,
  rows: number,
  N: number,
  K: number,
  left: number,
  right: number,
  list: number,
  counts: number,
  out: number,
) => number;

/** Where a product over live columns beats the sparse one. */
export interface LiveCosts {
  /** Its time beside the dense one's where all columns live. */
  readonly cost: Readonly<Record<"nn" | "tn", number>>;
  /** Share of nonzeros from which the sparse product runs dense. */
  full(product: "nn" | "tn", columns: number): number;
}

/** `calls`: once the arena is allocated; `panels`: address of a weight's panels for nt. */
export function addressLive(
  calls: () => LiveCalls,
  panels: (w: Weight) => number,
  { cost, full }: LiveCosts,
): LiveKernels {
  return {
    pays(product, density, { columns: { list, counts }, time, times }) {
      let count = 0;
      for (let t = time; t < time + times; t++) count += counts.data[t]!;
      const K = list.rowLength;
      return (count / (times * K)) * cost[product] < Math.min(1, density / full(product, K));
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
