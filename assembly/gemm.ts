/**
 * Dense products. A matrix that many rows are multiplied with is packed in panels of 32 columns,
 * [column panel][row][32], zero beyond the last column; the sparse products walk the same panels.
 * The micro kernel keeps 2 rows x 16 columns of the result in 8 registers.
 */

/** Bytes of a panel's row: 32 columns. */
export const PANEL_BYTES: usize = 128;
/** Depth of one sweep: half a panel of 512 rows is 32 KB. */
const DEPTH: i32 = 512;
/** Rows of `a` that meet one panel before the next panel comes. */
const ROW_BLOCK: i32 = 192;

/** c (2, 16) += a (2, k) b (k, 16). */
export function tile2x16(k: i32, a: usize, aRow: usize, aStep: usize, b: usize, c: usize, cRow: usize): void {
  let c00 = f32x4.splat(0);
  let c01 = f32x4.splat(0);
  let c02 = f32x4.splat(0);
  let c03 = f32x4.splat(0);
  let c10 = f32x4.splat(0);
  let c11 = f32x4.splat(0);
  let c12 = f32x4.splat(0);
  let c13 = f32x4.splat(0);
  let a1 = a + aRow;
  while (k > 0) {
    const b0 = v128.load(b);
    const b1 = v128.load(b, 16);
    const b2 = v128.load(b, 32);
    const b3 = v128.load(b, 48);
    let x = v128.load32_splat(a);
    c00 = f32x4.add(c00, f32x4.mul(x, b0));
    c01 = f32x4.add(c01, f32x4.mul(x, b1));
    c02 = f32x4.add(c02, f32x4.mul(x, b2));
    c03 = f32x4.add(c03, f32x4.mul(x, b3));
    x = v128.load32_splat(a1);
    c10 = f32x4.add(c10, f32x4.mul(x, b0));
    c11 = f32x4.add(c11, f32x4.mul(x, b1));
    c12 = f32x4.add(c12, f32x4.mul(x, b2));
    c13 = f32x4.add(c13, f32x4.mul(x, b3));
    a += aStep;
    a1 += aStep;
    b += PANEL_BYTES;
    k--;
  }
  addTo(c, 0, c00);
  addTo(c, 16, c01);
  addTo(c, 32, c02);
  addTo(c, 48, c03);
  c += cRow;
  addTo(c, 0, c10);
  addTo(c, 16, c11);
  addTo(c, 32, c12);
  addTo(c, 48, c13);
}

/** c (4, 8) += a (4, k) b (k, 8): for the last 8 columns or fewer. */
function tile4x8(k: i32, a: usize, aRow: usize, aStep: usize, b: usize, c: usize, cRow: usize): void {
  let c00 = f32x4.splat(0);
  let c01 = f32x4.splat(0);
  let c10 = f32x4.splat(0);
  let c11 = f32x4.splat(0);
  let c20 = f32x4.splat(0);
  let c21 = f32x4.splat(0);
  let c30 = f32x4.splat(0);
  let c31 = f32x4.splat(0);
  let a1 = a + aRow;
  let a2 = a1 + aRow;
  let a3 = a2 + aRow;
  while (k > 0) {
    const b0 = v128.load(b);
    const b1 = v128.load(b, 16);
    let x = v128.load32_splat(a);
    c00 = f32x4.add(c00, f32x4.mul(x, b0));
    c01 = f32x4.add(c01, f32x4.mul(x, b1));
    x = v128.load32_splat(a1);
    c10 = f32x4.add(c10, f32x4.mul(x, b0));
    c11 = f32x4.add(c11, f32x4.mul(x, b1));
    x = v128.load32_splat(a2);
    c20 = f32x4.add(c20, f32x4.mul(x, b0));
    c21 = f32x4.add(c21, f32x4.mul(x, b1));
    x = v128.load32_splat(a3);
    c30 = f32x4.add(c30, f32x4.mul(x, b0));
    c31 = f32x4.add(c31, f32x4.mul(x, b1));
    a += aStep;
    a1 += aStep;
    a2 += aStep;
    a3 += aStep;
    b += PANEL_BYTES;
    k--;
  }
  addTo(c, 0, c00);
  addTo(c, 16, c01);
  addTo(c + cRow, 0, c10);
  addTo(c + cRow, 16, c11);
  addTo(c + 2 * cRow, 0, c20);
  addTo(c + 2 * cRow, 16, c21);
  addTo(c + 3 * cRow, 0, c30);
  addTo(c + 3 * cRow, 16, c31);
}

// @ts-ignore: decorator
@inline
function addTo(address: usize, offset: usize, x: v128): void {
  v128.store(address + offset, f32x4.add(v128.load(address + offset), x));
}

/** A tile that sticks out of c: computed in `scratch` (128 bytes), its valid part added. */
function edgeTile(
  k: i32, a: usize, aRow: usize, aStep: usize, b: usize, c: usize, cRow: usize,
  height: i32, wide: bool, rows: i32, cols: i32, scratch: usize,
): void {
  for (let i: usize = 0; i < 128; i += 16) v128.store(scratch + i, i32x4.splat(0));
  const scratchRow: usize = wide ? 64 : 32;
  // Rows beyond the last read the last one again.
  if (wide) tile2x16(k, a, rows < height ? 0 : aRow, aStep, b, scratch, scratchRow);
  else if (rows == height) tile4x8(k, a, aRow, aStep, b, scratch, scratchRow);
  else {
    for (let r = 0; r < rows; r++) {
      const row = scratch + <usize>r * scratchRow;
      oneRow8(k, a + <usize>r * aRow, aStep, b, row);
    }
  }
  for (let r = 0; r < rows; r++) {
    const from = scratch + <usize>r * scratchRow;
    const to = c + <usize>r * cRow;
    for (let j = 0; j < cols; j++) {
      const at = <usize>j * 4;
      store<f32>(to + at, load<f32>(to + at) + load<f32>(from + at));
    }
  }
}

function oneRow8(k: i32, a: usize, aStep: usize, b: usize, c: usize): void {
  let c0 = f32x4.splat(0);
  let c1 = f32x4.splat(0);
  while (k > 0) {
    const x = v128.load32_splat(a);
    c0 = f32x4.add(c0, f32x4.mul(x, v128.load(b)));
    c1 = f32x4.add(c1, f32x4.mul(x, v128.load(b, 16)));
    a += aStep;
    b += PANEL_BYTES;
    k--;
  }
  addTo(c, 0, c0);
  addTo(c, 16, c1);
}

/**
 * c (m, n) += a (m, k) b (k, n), b in panels of `bPanel` bytes. Element (i, x) of a stands at
 * a + i aRow + x aStep.
 */
export function product(
  m: i32, n: i32, k: i32, a: usize, aRow: usize, aStep: usize, b: usize, bPanel: usize, c: usize, cRow: usize,
  scratch: usize,
): void {
  for (let x = 0; x < k; x += DEPTH) {
    const depth = min(DEPTH, k - x);
    for (let i0 = 0; i0 < m; i0 += ROW_BLOCK) {
      const end = min(m, i0 + ROW_BLOCK);
      for (let j = 0; j < n; j += 16) {
        const panel = b + <usize>(j >> 5) * bPanel + <usize>(j & 16) * 4 + <usize>x * PANEL_BYTES;
        const cols = min(16, n - j);
        const wide = cols > 8;
        const height = wide ? 2 : 4;
        const full = cols == (wide ? 16 : 8);
        let ai = a + <usize>i0 * aRow + <usize>x * aStep;
        let ci = c + <usize>i0 * cRow + <usize>j * 4;
        for (let i = i0; i < end; i += height) {
          const rows = min(height, end - i);
          if (full && rows == height) {
            if (wide) tile2x16(depth, ai, aRow, aStep, panel, ci, cRow);
            else tile4x8(depth, ai, aRow, aStep, panel, ci, cRow);
          } else {
            edgeTile(depth, ai, aRow, aStep, panel, ci, cRow, height, wide, rows, cols, scratch);
          }
          ai += <usize>height * aRow;
          ci += <usize>height * cRow;
        }
      }
    }
  }
}

/**
 * Rows [from, to) of out (n, k) += g^T x for at most 256 rows of g (depth, n) and x (depth, k), x already
 * in panels. `gPanel`: room for one panel of g, 32 KB. `from` is a multiple of 32.
 */
export function productTNSweep(
  depth: i32, n: i32, k: i32, from: i32, to: i32, g: usize, out: usize, xPanels: usize, gPanel: usize, scratch: usize,
): void {
  const gRow = <usize>n * 4;
  const outRow = <usize>k * 4;
  for (let j = from; j < to; j += 32) {
    const width = min(32, to - j);
    packPanels(depth, width, g + <usize>j * 4, gRow, gPanel);
    product(
      width, k, depth, gPanel, 4, PANEL_BYTES, xPanels, <usize>depth * PANEL_BYTES, out + <usize>j * outRow, outRow, scratch,
    );
  }
}

/** Panels [cols / 32][rows][32] of a (rows, cols) matrix. */
export function packPanels(rows: i32, cols: i32, from: usize, fromRow: usize, to: usize): void {
  for (let j = 0; j < cols; j += 32) {
    let source = from + <usize>j * 4;
    const width = cols - j;
    for (let r = 0; r < rows; r++) {
      if (width >= 32) copy32(source, to);
      else {
        for (let i: usize = 0; i < PANEL_BYTES; i += 16) v128.store(to + i, i32x4.splat(0));
        for (let i = 0; i < width; i++) store<f32>(to + <usize>i * 4, load<f32>(source + <usize>i * 4));
      }
      source += fromRow;
      to += PANEL_BYTES;
    }
  }
}

// @ts-ignore: decorator
@inline
function copy32(from: usize, to: usize): void {
  const x0 = v128.load(from);
  const x1 = v128.load(from, 16);
  const x2 = v128.load(from, 32);
  const x3 = v128.load(from, 48);
  const x4 = v128.load(from, 64);
  const x5 = v128.load(from, 80);
  const x6 = v128.load(from, 96);
  const x7 = v128.load(from, 112);
  v128.store(to, x0);
  v128.store(to, x1, 16);
  v128.store(to, x2, 32);
  v128.store(to, x3, 48);
  v128.store(to, x4, 64);
  v128.store(to, x5, 80);
  v128.store(to, x6, 96);
  v128.store(to, x7, 112);
}

/**
 * The rows of w (n, k) in the list into its panels again: nt [n / 32][k][32] of w^T, nn [k / 32][n][32]; 0: none.
 */
export function packRows(n: i32, k: i32, from: usize, nt: usize, nn: usize, list: usize, count: i32): void {
  for (let i = 0; i < count; i++) {
    const row = load<i32>(list + <usize>i * 4);
    const x = from + <usize>row * <usize>k * 4;
    if (nn != 0)
      for (let j = 0; j < k; j += 32) {
        const to = nn + <usize>j * <usize>n * 4 + <usize>row * PANEL_BYTES;
        const source = x + <usize>j * 4;
        if (k - j >= 32) copy32(source, to);
        else for (let c: usize = 0; c < <usize>(k - j) * 4; c += 4) store<f32>(to + c, load<f32>(source + c));
      }
    if (nt != 0) {
      let to = nt + <usize>(row & ~31) * <usize>k * 4 + <usize>(row & 31) * 4;
      for (let c: usize = 0; c < <usize>k * 4; c += 4) {
        store<f32>(to, load<f32>(x + c));
        to += PANEL_BYTES;
      }
    }
  }
}

/** Panels [rows / 32][cols][32] of the transpose of a (rows, cols) matrix; the padding stays as it was. */
export function packTransposedPanels(rows: i32, cols: i32, from: usize, fromRow: usize, to: usize): void {
  for (let i = 0; i < rows; i += 32) {
    transpose(min(32, rows - i), cols, from + <usize>i * fromRow, fromRow, to, PANEL_BYTES);
    to += <usize>cols * PANEL_BYTES;
  }
}

/** to (cols, rows) = from (rows, cols) transposed. */
export function transpose(rows: i32, cols: i32, from: usize, fromRow: usize, to: usize, toRow: usize): void {
  const rows4 = rows & ~3;
  const cols4 = cols & ~3;
  for (let c = 0; c < cols4; c += 4) {
    let source = from + <usize>c * 4;
    let target = to + <usize>c * toRow;
    for (let r = 0; r < rows4; r += 4) {
      const x0 = v128.load(source);
      const x1 = v128.load(source + fromRow);
      const x2 = v128.load(source + 2 * fromRow);
      const x3 = v128.load(source + 3 * fromRow);
      const low01 = i32x4.shuffle(x0, x1, 0, 4, 1, 5);
      const high01 = i32x4.shuffle(x0, x1, 2, 6, 3, 7);
      const low23 = i32x4.shuffle(x2, x3, 0, 4, 1, 5);
      const high23 = i32x4.shuffle(x2, x3, 2, 6, 3, 7);
      v128.store(target, i64x2.shuffle(low01, low23, 0, 2));
      v128.store(target + toRow, i64x2.shuffle(low01, low23, 1, 3));
      v128.store(target + 2 * toRow, i64x2.shuffle(high01, high23, 0, 2));
      v128.store(target + 3 * toRow, i64x2.shuffle(high01, high23, 1, 3));
      source += 4 * fromRow;
      target += 16;
    }
  }
  for (let r = 0; r < rows; r++) {
    for (let c = r < rows4 ? cols4 : 0; c < cols; c++) {
      store<f32>(to + <usize>c * toRow + <usize>r * 4, load<f32>(from + <usize>r * fromRow + <usize>c * 4));
    }
  }
}
