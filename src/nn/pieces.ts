/**
 * Rows that backward goes over at once, and that have room for an engine's lists. A weight gradient is read and
 * written once for each such piece: one that stays in a second-level cache may be visited often. Against all rows at
 * once, native, a tenth kept: W1 and W7 (256 rows) took 0.97 of the time, W2 (1024 rows) 1.01; dense 1.00 all three;
 * W2 at 512 rows 1.03 (medians of CPU time, in turns, beside other work).
 */
const NEAR_GRADIENT = 2 ** 18; // floats, 1 MB
const NEAR_ROWS = 256;
const FAR_ROWS = 1280; // W2, of 2,500 rows, in two; native/capi.cpp has the same

/** Whole time steps of B lanes, `steps` of them at most; `widest` is the number of elements of the largest weight. */
export function pieceSteps(widest: number, steps: number, B: number): number {
  const rows = widest <= NEAR_GRADIENT ? NEAR_ROWS : FAR_ROWS;
  return Math.min(steps, Math.max(1, Math.floor(rows / B)));
}
