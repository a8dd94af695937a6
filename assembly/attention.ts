/**
 * Causal attention of one lane's head, as src/kernels/js-layers.ts defines it: its six products are those of gemm.ts over
 * panels in the thread's own room. Where the mask leaves nothing, blocks of BLOCK rows are left out.
 *
 * Rows are of positions 0 to T. Byte strides: `row` in x and its gradient, `outRow` in out and dy, `square` in shares.
 */
import { packPanels, packTransposedPanels, PANEL_BYTES, product } from "./gemm";
import { softmaxGradientRow, softmaxRow } from "./layers";

const BLOCK: i32 = 32;

/** c (T, T), on and below the diagonal, = a (T, d) b (T, d)^T. */
function scores(
  T: i32, d: i32, a: usize, aRow: usize, b: usize, bRow: usize, c: usize, square: usize, panels: usize, scratch: usize,
): void {
  packTransposedPanels(T, d, b, bRow, panels);
  for (let r = 0; r < T; r++) memory.fill(c + <usize>r * square, 0, <usize>T * 4);
  for (let j = 0; j < T; j += BLOCK) {
    const at = <usize>j;
    product(
      T - j, min(BLOCK, T - j), d, a + at * aRow, aRow, 4, panels + at * <usize>d * 4, <usize>d * PANEL_BYTES,
      c + at * square + at * 4, square, scratch,
    );
  }
}

/** c (T, d) = p b, or p^T b; p is 0 above the diagonal. */
function weighted(
  turned: bool, T: i32, d: i32, p: usize, square: usize, b: usize, bRow: usize, c: usize, cRow: usize, panels: usize,
  scratch: usize,
): void {
  packPanels(T, d, b, bRow, panels);
  for (let r = 0; r < T; r++) memory.fill(c + <usize>r * cRow, 0, <usize>d * 4);
  for (let r = 0; r < T; r += BLOCK) {
    const height = min(BLOCK, T - r);
    const first: usize = turned ? <usize>r : 0;
    product(
      height, d, turned ? T - r : r + height, p + <usize>r * square + first * 4, turned ? 4 : square,
      turned ? square : 4, panels + first * PANEL_BYTES, <usize>T * PANEL_BYTES, c + <usize>r * cRow, cRow, scratch,
    );
  }
}

/** q: the head's first query in x; its keys and values are `width` and twice `width` bytes on. panels: room. */
export function headForward(
  T: i32, d: i32, q: usize, row: usize, width: usize, p: usize, square: usize, out: usize, outRow: usize,
  panels: usize, scratch: usize,
): void {
  const scale = <f32>(1 / Math.sqrt(<f64>d));
  scores(T, d, q, row, q + width, row, p, square, panels, scratch);
  for (let r = 0; r < T; r++) softmaxRow(p + <usize>r * square, r + 1, T, scale);
  weighted(false, T, d, p, square, q + 2 * width, row, out, outRow, panels, scratch);
}

/** dq: as q, in the gradient. dS: a square. */
export function headBackward(
  T: i32, d: i32, q: usize, row: usize, width: usize, p: usize, square: usize, dOut: usize, outRow: usize, dq: usize,
  dS: usize, panels: usize, scratch: usize,
): void {
  const scale = <f32>(1 / Math.sqrt(<f64>d));
  weighted(true, T, d, p, square, dOut, outRow, dq + 2 * width, row, panels, scratch);
  scores(T, d, dOut, outRow, q + 2 * width, row, dS, square, panels, scratch);
  for (let r = 0; r < T; r++) softmaxGradientRow(dS + <usize>r * square, p + <usize>r * square, r + 1, T, scale);
  weighted(false, T, d, dS, square, q + width, row, dq, row, panels, scratch);
  weighted(true, T, d, dS, square, q, row, dq + width, row, panels, scratch);
}
