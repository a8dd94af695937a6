/** Kernels over rows: sums, copies, look-ups, dropout. Lengths in floats, addresses in bytes. */

/** to += from. */
export function addInto(to: usize, from: usize, length: i32): void {
  for (let n = length >> 2; n > 0; n--) {
    v128.store(to, f32x4.add(v128.load(to), v128.load(from)));
    to += 16;
    from += 16;
  }
  for (let n = length & 3; n > 0; n--) {
    store<f32>(to, load<f32>(to) + load<f32>(from));
    to += 4;
    from += 4;
  }
}

/** Each of `rows` rows = a, or a + b unless b is 0. */
export function setRows(out: usize, rows: i32, cols: i32, a: usize, b: usize): void {
  const bytes = <usize>cols * 4;
  if (rows == 0) return;
  for (let i: usize = 0; i < bytes; i += 4) store<f32>(out + i, b == 0 ? load<f32>(a + i) : load<f32>(a + i) + load<f32>(b + i));
  const full = <usize>(cols & ~3) * 4;
  let to = out + bytes;
  for (let r = 1; r < rows; r++) {
    for (let i: usize = 0; i < full; i += 16) v128.store(to + i, v128.load(out + i));
    for (let i = full; i < bytes; i += 4) store<f32>(to + i, load<f32>(out + i));
    to += bytes;
  }
}

/** out (cols) += column sums of g (rows, cols), four rows at a time. Rows of g are `row` bytes apart. */
export function addColumnSums(out: usize, g: usize, rows: i32, cols: i32, row: usize): void {
  for (; rows >= 4; rows -= 4) {
    let p = g;
    let to = out;
    for (let n = cols >> 2; n > 0; n--) {
      const low = f32x4.add(v128.load(p), v128.load(p + row));
      const high = f32x4.add(v128.load(p + 2 * row), v128.load(p + 3 * row));
      v128.store(to, f32x4.add(v128.load(to), f32x4.add(low, high)));
      p += 16;
      to += 16;
    }
    for (let n = cols & 3; n > 0; n--) {
      const low = load<f32>(p) + load<f32>(p + row);
      const high = load<f32>(p + 2 * row) + load<f32>(p + 3 * row);
      store<f32>(to, load<f32>(to) + (low + high));
      p += 4;
      to += 4;
    }
    g += 4 * row;
  }
  for (; rows > 0; rows--) {
    addInto(out, g, cols);
    g += row;
  }
}

/** Row r of out += row index[r] of table. */
export function gatherRows(out: usize, table: usize, index: usize, rows: i32, cols: i32): void {
  const bytes = <usize>cols * 4;
  for (let r = 0; r < rows; r++) {
    addInto(out, table + <usize>load<u32>(index) * bytes, cols);
    out += bytes;
    index += 4;
  }
}

/** Row index[r] of table += row r of g. Rows of both are `bytes` apart. */
export function scatterRows(table: usize, index: usize, g: usize, rows: i32, cols: i32, bytes: usize): void {
  for (let r = 0; r < rows; r++) {
    addInto(table + <usize>load<u32>(index) * bytes, g, cols);
    g += bytes;
    index += 4;
  }
}

/**
 * Column index[r] of out (n, k) += row index[r] of `sums` (k, n), the sums of a look-up's gradients,
 * which become zero again; touched (k): zero before and after.
 */
export function addTouched(
  out: usize, index: usize, rows: i32, n: i32, k: i32, sums: usize, touched: usize,
): void {
  for (let r = 0; r < rows; r++) store<i32>(touched + <usize>load<u32>(index + <usize>r * 4) * 4, 1);
  const step = <usize>k * 4;
  for (let column = 0; column < k; column++) {
    if (load<i32>(touched) != 0) {
      store<i32>(touched, 0);
      let to = out + <usize>column * 4;
      for (let i: usize = 0; i < <usize>n * 4; i += 4) {
        store<f32>(to, load<f32>(to) + load<f32>(sums + i));
        store<f32>(sums + i, 0);
        to += step;
      }
    }
    sums += <usize>n * 4;
    touched += 4;
  }
}

/**
 * out = a * scale where counterHash(key, element) >= limit, else 0; the hash of src/core/random.ts.
 * `first`: number of the first element.
 */
export function dropout(out: usize, a: usize, length: i32, limit: u32, scale: f32, key: i32, first: i32): void {
  const golden = i32x4.splat(0x9e3779b9);
  let position = i32x4.add(i32x4(0, 1, 2, 3), i32x4.splat(first));
  const keys = i32x4.splat(key);
  const limits = i32x4.splat(<i32>limit);
  const scales = f32x4.splat(scale);
  for (let n = length >> 2; n > 0; n--) {
    const hash = mix(i32x4.add(i32x4.mul(position, golden), keys));
    const kept = i32x4.ge_u(hash, limits);
    v128.store(out, v128.and(f32x4.mul(v128.load(a), scales), kept));
    position = i32x4.add(position, i32x4.splat(4));
    out += 16;
    a += 16;
  }
  const rest = length & 3;
  if (rest == 0) return;
  const kept = i32x4.ge_u(mix(i32x4.add(i32x4.mul(position, golden), keys)), limits);
  const bits = i32x4.bitmask(kept);
  for (let i = 0; i < rest; i++) {
    const at = <usize>i * 4;
    store<f32>(out + at, (bits >> i) & 1 ? load<f32>(a + at) * scale : 0);
  }
}

// @ts-ignore: decorator
@inline
function mix(z: v128): v128 {
  z = v128.xor(z, i32x4.shr_u(z, 16));
  z = i32x4.mul(z, i32x4.splat(0x21f0aaad));
  z = v128.xor(z, i32x4.shr_u(z, 15));
  z = i32x4.mul(z, i32x4.splat(0x735a2d97));
  return v128.xor(z, i32x4.shr_u(z, 15));
}
