/**
 * Cycles of a systolic array, exactly: a test walks small arrays register by register and finds the same.
 *
 * A product out (M, N) = a (M, K) b (K, N) is cut into folds that follow one another without a gap; operands enter
 * skewed by a cycle a row or column. With R rows and C columns of multipliers:
 *
 *   weight stationary   b stays, a fold is R of K by C of N; loading the next R rows hides behind max(M, R) cycles of
 *                       the present one.   R + (folds - 1) max(M, R) + M + R + C - 2
 *   output stationary   out stays, a fold is R of M by C of N; the last sums leave through R rows while the next fold
 *                       runs.              (folds - 1) max(K, R) + K + R + C - 2 + R
 */
import type { Actions, Work } from "./counts.ts";

/** A product as an array sees it: out (M, N), K summed over. */
export interface Gemm {
  readonly M: number;
  readonly N: number;
  readonly K: number;
}

export interface ArraySize {
  readonly rows: number;
  readonly cols: number;
}

export type Stationary = "weight" | "output";

export function foldsOf({ M, N, K }: Gemm, { rows, cols }: ArraySize, stationary: Stationary): number {
  return Math.ceil(N / cols) * (stationary === "weight" ? Math.ceil(K / rows) : Math.ceil(M / rows));
}

/** Cycles from the first operand in to the last result out; 0 for an empty product. */
export function systolicCycles(gemm: Gemm, size: ArraySize, stationary: Stationary): number {
  const { M, K } = gemm;
  const { rows, cols } = size;
  const folds = foldsOf(gemm, size, stationary);
  if (folds === 0 || K === 0) return 0;
  if (stationary === "weight") return rows + (folds - 1) * Math.max(M, rows) + M + rows + cols - 2;
  return (folds - 1) * Math.max(K, rows) + K + rows + cols - 2 + rows;
}

/** Of these, the cycles in which operands of the product enter: the rest fills and drains. */
export function streamedCycles(gemm: Gemm, size: ArraySize, stationary: Stationary): number {
  const folds = foldsOf(gemm, size, stationary);
  return gemm.K === 0 ? 0 : folds * (stationary === "weight" ? gemm.M : gemm.K);
}

/** Words between the array and the on-chip memory. */
export function systolicWords(gemm: Gemm, { rows, cols }: ArraySize, stationary: Stationary): number {
  const { M, N, K } = gemm;
  if (K === 0) return 0;
  const overN = Math.ceil(N / cols);
  if (stationary === "output") return M * K * overN + K * N * Math.ceil(M / rows) + M * N;
  // Sums of all but the first rows of b come back and go out again.
  return M * K * overN + K * N + M * N * (2 * Math.ceil(K / rows) - 1);
}

/** How an array takes a block of `rows` rows of a product; the gradient is `a` in each. */
export function gemmOf({ product: { form, n, k } }: Work, rows: number): Gemm {
  if (form === "NT") return { M: rows, N: n, K: k };
  if (form === "NN") return { M: rows, N: k, K: n };
  return { M: n, N: k, K: rows };
}

/** Registers that a multiply-accumulate passes in an array: an operand that moves, one that stays, the sum. */
export const SYSTOLIC_REGISTERS = 3;

export function systolicActions(macs: number, gated: number, words: number): Partial<Actions> {
  // A gated multiplier keeps its operands moving: of its energy only the multiply-add is saved.
  return { mac: macs - gated, register: macs * SYSTOLIC_REGISTERS, sram: words };
}
