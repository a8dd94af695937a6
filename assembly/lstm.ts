/**
 * The pointwise part of an LSTM, gate order i, f, g, o. Equations: src/nn/cells/lstm.ts.
 * All pointers stand at the first row; rows of gates are 4 H long, those of the others H.
 */
import { sigmoid, tanh } from "./math";

export function lstmForward(
  rows: i32, hidden: i32, gates: usize, before: usize, c: usize, h: usize, tanhC: usize,
): void {
  const H = <usize>hidden * 4;
  for (let r = 0; r < rows; r++) {
    sigmoidRow(gates, 2 * hidden);
    tanhRow(gates + 2 * H, hidden);
    sigmoidRow(gates + 3 * H, hidden);
    stateRow(gates, gates + H, gates + 2 * H, before, c, tanhC, hidden);
    tanhRow(tanhC, hidden);
    multiplyRow(h, gates + 3 * H, tanhC, hidden);
    gates += 4 * H;
    before += H;
    c += H;
    h += H;
    tanhC += H;
  }
}

// One loop for each function: V8 makes the constants of a loop once, before it, but those of a
// function at every call, which cost more than the arithmetic.
export function sigmoidRow(x: usize, length: i32): void {
  for (let n = length >> 2; n > 0; n--) {
    v128.store(x, sigmoid(v128.load(x)));
    x += 16;
  }
  for (let n = length & 3; n > 0; n--) {
    store<f32>(x, f32x4.extract_lane(sigmoid(v128.load32_splat(x)), 0));
    x += 4;
  }
}

export function tanhRow(x: usize, length: i32): void {
  for (let n = length >> 2; n > 0; n--) {
    v128.store(x, tanh(v128.load(x)));
    x += 16;
  }
  for (let n = length & 3; n > 0; n--) {
    store<f32>(x, f32x4.extract_lane(tanh(v128.load32_splat(x)), 0));
    x += 4;
  }
}

/** c = f before + i g, and a copy of it. */
function stateRow(i: usize, f: usize, g: usize, before: usize, c: usize, copy: usize, length: i32): void {
  const full = <usize>(length & ~3) * 4;
  let n: usize = 0;
  for (; n < full; n += 16) {
    const next = f32x4.add(
      f32x4.mul(v128.load(f + n), v128.load(before + n)),
      f32x4.mul(v128.load(i + n), v128.load(g + n)),
    );
    v128.store(c + n, next);
    v128.store(copy + n, next);
  }
  for (; n < <usize>length * 4; n += 4) {
    const next = load<f32>(f + n) * load<f32>(before + n) + load<f32>(i + n) * load<f32>(g + n);
    store<f32>(c + n, next);
    store<f32>(copy + n, next);
  }
}

export function multiplyRow(out: usize, a: usize, b: usize, length: i32): void {
  for (let n = length >> 2; n > 0; n--) {
    v128.store(out, f32x4.mul(v128.load(a), v128.load(b)));
    out += 16;
    a += 16;
    b += 16;
  }
  for (let n = length & 3; n > 0; n--) {
    store<f32>(out, load<f32>(a) * load<f32>(b));
    out += 4;
    a += 4;
    b += 4;
  }
}

export function lstmBackward(
  rows: i32, hidden: i32, gates: usize, before: usize, tanhC: usize, dh: usize, dc: usize, scratch: usize,
): void {
  const H = <usize>hidden * 4;
  const full = <usize>(hidden & ~3) * 4;
  const rest = <usize>(hidden & 3) * 4;
  for (let r = 0; r < rows; r++) {
    for (let n: usize = 0; n < full; n += 16) {
      const at = gates + n;
      backward4(at, at + H, at + 2 * H, at + 3 * H, before + n, tanhC + n, dh + n, dc + n);
    }
    if (rest != 0) {
      // The last 1 to 3 columns go through eight vectors in scratch.
      const at = gates + full;
      for (let g: usize = 0; g < 4; g++) copy(scratch + g * 16, at + g * H, rest);
      copy(scratch + 64, before + full, rest);
      copy(scratch + 80, tanhC + full, rest);
      copy(scratch + 96, dh + full, rest);
      copy(scratch + 112, dc + full, rest);
      backward4(
        scratch, scratch + 16, scratch + 32, scratch + 48, scratch + 64, scratch + 80, scratch + 96, scratch + 112,
      );
      for (let g: usize = 0; g < 4; g++) copy(at + g * H, scratch + g * 16, rest);
      copy(dc + full, scratch + 112, rest);
    }
    gates += 4 * H;
    before += H;
    tanhC += H;
    dh += H;
    dc += H;
  }
}

// @ts-ignore: decorator
@inline
function backward4(
  gi: usize, gf: usize, gg: usize, go: usize, before: usize, tanhC: usize, dhs: usize, dcs: usize,
): void {
  const one = f32x4.splat(1);
  const o = v128.load(go);
  const y = v128.load(tanhC);
  const dh = v128.load(dhs);
  const dho = f32x4.mul(dh, o);
  const dc = f32x4.add(v128.load(dcs), f32x4.mul(dho, f32x4.sub(one, f32x4.mul(y, y))));
  v128.store(go, f32x4.mul(f32x4.mul(dho, y), f32x4.sub(one, o)));
  const i = v128.load(gi);
  const g = v128.load(gg);
  const dci = f32x4.mul(dc, i);
  v128.store(gi, f32x4.mul(f32x4.mul(dci, g), f32x4.sub(one, i)));
  v128.store(gg, f32x4.mul(dci, f32x4.sub(one, f32x4.mul(g, g))));
  const f = v128.load(gf);
  const dcf = f32x4.mul(dc, f);
  v128.store(gf, f32x4.mul(f32x4.mul(dcf, v128.load(before)), f32x4.sub(one, f)));
  v128.store(dcs, dcf);
}

function copy(to: usize, from: usize, bytes: usize): void {
  for (let i: usize = 0; i < bytes; i += 4) store<f32>(to + i, load<f32>(from + i));
}
