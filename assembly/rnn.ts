/**
 * The pointwise parts of the plain recurrent net (equations: src/nn/cells/rnn.ts), whose one gate is h, and of minGRU, gate
 * order z, h~ (mingru.ts), whose rows of gates are 2 H long. All pointers stand at the first row.
 */
import { mixRow } from "./gru";
import { sigmoidRow, tanhRow } from "./lstm";

export function rnnForward(length: i32, gates: usize, h: usize): void {
  tanhRow(gates, length);
  memory.copy(h, gates, <usize>length * 4);
}

export function mingruForward(rows: i32, hidden: i32, gates: usize, before: usize, h: usize): void {
  const H = <usize>hidden * 4;
  for (let row = 0; row < rows; row++) {
    sigmoidRow(gates, hidden);
    mixRow(h, gates, before, gates + H, hidden);
    gates += 2 * H;
    before += H;
    h += H;
  }
}

/** dh becomes what flows on into t-1. */
export function mingruBackward(rows: i32, hidden: i32, gates: usize, before: usize, dh: usize): void {
  const H = <usize>hidden * 4;
  const full = <usize>(hidden & ~3) * 4;
  for (let row = 0; row < rows; row++) {
    let at: usize = 0;
    for (; at < full; at += 16) {
      const z = v128.load(gates + at);
      const d = v128.load(dh + at);
      const rest = f32x4.sub(f32x4.splat(1), z);
      const change = f32x4.sub(v128.load(gates + H + at), v128.load(before + at));
      v128.store(gates + at, f32x4.mul(f32x4.mul(f32x4.mul(d, change), z), rest));
      v128.store(gates + H + at, f32x4.mul(d, z));
      v128.store(dh + at, f32x4.mul(d, rest));
    }
    for (; at < H; at += 4) {
      const z = load<f32>(gates + at);
      const d = load<f32>(dh + at);
      store<f32>(gates + at, d * (load<f32>(gates + H + at) - load<f32>(before + at)) * z * (1 - z));
      store<f32>(gates + H + at, d * z);
      store<f32>(dh + at, d * (1 - z));
    }
    gates += 2 * H;
    before += H;
    dh += H;
  }
}
