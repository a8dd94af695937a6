/**
 * The pointwise part of a GRU, gate order r, z, n, reset after the product. Equations: src/nn/cells/gru.ts.
 * All pointers stand at the first row; rows of gates and of hidden gates are 3 H long, those of the others H. kept: r, for
 * what U sees.
 */
import { sigmoidRow, tanhRow } from "./lstm";
import { addInto } from "./rows";

export function gruForward(
  rows: i32, hidden: i32, gates: usize, products: usize, before: usize, h: usize, kept: usize,
): void {
  const H = <usize>hidden * 4;
  for (let r = 0; r < rows; r++) {
    addInto(gates, products, 2 * hidden);
    sigmoidRow(gates, 2 * hidden);
    resetRow(gates + 2 * H, gates, products + 2 * H, kept, hidden);
    tanhRow(gates + 2 * H, hidden);
    mixRow(h, gates + H, gates + 2 * H, before, hidden);
    gates += 3 * H;
    products += 3 * H;
    before += H;
    h += H;
    kept += H;
  }
}

/** n += r product, and a copy of r. */
function resetRow(n: usize, r: usize, product: usize, copy: usize, length: i32): void {
  const full = <usize>(length & ~3) * 4;
  let at: usize = 0;
  for (; at < full; at += 16) {
    const reset = v128.load(r + at);
    v128.store(n + at, f32x4.add(v128.load(n + at), f32x4.mul(reset, v128.load(product + at))));
    v128.store(copy + at, reset);
  }
  for (; at < <usize>length * 4; at += 4) {
    const reset = load<f32>(r + at);
    store<f32>(n + at, load<f32>(n + at) + reset * load<f32>(product + at));
    store<f32>(copy + at, reset);
  }
}

/** h = (1 - z) n + z before. */
export function mixRow(h: usize, z: usize, n: usize, before: usize, length: i32): void {
  const full = <usize>(length & ~3) * 4;
  let at: usize = 0;
  for (; at < full; at += 16) {
    const update = v128.load(z + at);
    v128.store(h + at, f32x4.add(
      f32x4.mul(f32x4.sub(f32x4.splat(1), update), v128.load(n + at)),
      f32x4.mul(update, v128.load(before + at)),
    ));
  }
  for (; at < <usize>length * 4; at += 4) {
    const update = load<f32>(z + at);
    store<f32>(h + at, (1 - update) * load<f32>(n + at) + update * load<f32>(before + at));
  }
}

/** dh becomes what flows on beside the product. */
export function gruBackward(
  rows: i32, hidden: i32, gates: usize, products: usize, before: usize, dh: usize,
): void {
  const H = <usize>hidden * 4;
  const full = <usize>(hidden & ~3) * 4;
  for (let row = 0; row < rows; row++) {
    let at: usize = 0;
    for (; at < full; at += 16) {
      const one = f32x4.splat(1);
      const g = gates + at;
      const n = v128.load(g + 2 * H);
      const z = v128.load(g + H);
      const d = v128.load(dh + at);
      const rest = f32x4.sub(one, z);
      const dn = f32x4.mul(f32x4.mul(d, rest), f32x4.sub(one, f32x4.mul(n, n)));
      v128.store(g + 2 * H, dn);
      const change = f32x4.sub(v128.load(before + at), n);
      v128.store(g + H, f32x4.mul(f32x4.mul(f32x4.mul(d, change), z), rest));
      v128.store(dh + at, f32x4.mul(d, z));
      const r = v128.load(g);
      const product = v128.load(products + 2 * H + at);
      v128.store(g, f32x4.mul(f32x4.mul(f32x4.mul(dn, product), r), f32x4.sub(one, r)));
    }
    for (; at < H; at += 4) {
      const g = gates + at;
      const n = load<f32>(g + 2 * H);
      const z = load<f32>(g + H);
      const r = load<f32>(g);
      const d = load<f32>(dh + at);
      const dn: f32 = d * (1 - z) * (1 - n * n);
      store<f32>(g + 2 * H, dn);
      store<f32>(g + H, d * (load<f32>(before + at) - n) * z * (1 - z));
      store<f32>(dh + at, d * z);
      store<f32>(g, dn * load<f32>(products + 2 * H + at) * r * (1 - r));
    }
    gates += 3 * H;
    products += 3 * H;
    before += H;
    dh += H;
  }
}

/** out (rows, 3 H) = what U sees of the gate gradients `left` for W: r of the kept times that of n. */
export function gruHidden(rows: i32, hidden: i32, left: usize, kept: usize, out: usize): void {
  const H = <usize>hidden * 4;
  const full = <usize>(hidden & ~3) * 4;
  for (let row = 0; row < rows; row++) {
    let at: usize = 0;
    for (; at < full; at += 16) {
      v128.store(out + at, v128.load(left + at));
      v128.store(out + H + at, v128.load(left + H + at));
      v128.store(out + 2 * H + at, f32x4.mul(v128.load(left + 2 * H + at), v128.load(kept + at)));
    }
    for (; at < H; at += 4) {
      store<f32>(out + at, load<f32>(left + at));
      store<f32>(out + H + at, load<f32>(left + H + at));
      store<f32>(out + 2 * H + at, load<f32>(left + 2 * H + at) * load<f32>(kept + at));
    }
    left += 3 * H;
    kept += H;
    out += 3 * H;
  }
}
