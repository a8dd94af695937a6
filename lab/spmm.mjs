/**
 * Sparse product, out (rows, K) += pruned g (rows, N) w: how wide a block of the result to keep in
 * registers, and how to keep V8 from spilling it.
 *
 *   node lab/spmm.mjs
 *
 * w is packed in panels of 32 columns; a row of g is a list of (value, byte offset into the panel).
 * "cut n": after every n vectors a loop exit that is never taken, see README.md.
 */
import { compile, fillRandom, median } from "./lab.mjs";

/** A walk over one list with `vectors` accumulators, loads grouped by `cut`. */
function walk(vectors, cut) {
  const name = `w${vectors * 4}c${cut}`;
  const lines = [`function ${name}(p: usize, end: usize, w: usize, c: usize): void {`, "let x: v128, q: usize;"];
  for (let v = 0; v < vectors; v++) lines.push(`let c${v} = v128.load(c, ${v * 16});`);
  lines.push("while (p < end) {", "x = v128.load32_splat(p); q = w + <usize>load<u32>(p, 4);");
  for (let v = 0; v < vectors; v++) {
    if (v > 0 && v % cut === 0) lines.push(`if (p > end) break;`);
    lines.push(`c${v} = f32x4.add(c${v}, f32x4.mul(x, v128.load(q, ${v * 16})));`);
  }
  lines.push("p += 8;", "}");
  for (let v = 0; v < vectors; v++) lines.push(`v128.store(c, c${v}, ${v * 16});`);
  lines.push("}");
  lines.push(`export function s_${name}(rows: i32, k: i32, tiles: i32, n: i32, starts: usize, w: usize, out: usize): void {
    for (let j = 0; j < k; j += 32)
      for (let t = 0; t < tiles; t++)
        for (let r = 0; r < rows; r++) {
          const s = starts + <usize>(r * (tiles + 1) + t) * 4;
          ${vectors <= 8 ? Array.from({ length: 8 / vectors }, (_, i) => `${name}(load<u32>(s), load<u32>(s, 4), w + <usize>(j * n) * 4 + ${i * vectors * 16}, out + <usize>(r * k + j) * 4 + ${i * vectors * 16});`).join("\n") : ""}
        }
  }`);
  return { name, source: lines.join("\n") };
}

const variants = [walk(8, 8), walk(8, 4), walk(8, 3), walk(8, 2), walk(8, 1), walk(4, 4), walk(4, 2)];
const wasm = await compile(variants.map((v) => v.source).join("\n"), 2048);
const floats = new Float32Array(wasm.memory.buffer);
const ints = new Uint32Array(wasm.memory.buffer);

for (const [rows, n, k] of [
  [50, 512, 128],
  [50, 2048, 512],
  [2500, 512, 128],
])
  for (const density of [0.05, 0.1, 0.2])
    for (const tile of [128, 256, 512]) {
      const tiles = Math.ceil(n / tile);
      const w = 1024;
      const starts = w + n * k;
      const out = starts + rows * (tiles + 1) + 16;
      const list = out + rows * k;
      fillRandom(floats.subarray(w, w + n * k), 5);
      floats.fill(0, out, out + rows * k);
      const random = fillRandom(new Float32Array(rows * n), 9);
      let p = list;
      for (let r = 0; r < rows; r++)
        for (let t = 0; t < tiles; t++) {
          ints[starts + r * (tiles + 1) + t] = p * 4;
          for (let i = t * tile; i < Math.min(n, (t + 1) * tile); i++) {
            if ((random[r * n + i] + 1) / 2 > density) continue;
            floats[p++] = random[r * n + i];
            ints[p++] = i * 128;
          }
          ints[starts + r * (tiles + 1) + t + 1] = p * 4;
        }
      const macs = ((p - list) / 2) * k;
      const line = variants.map(({ name }) => {
        const ms = median(
          () => wasm[`s_${name}`](rows, k, tiles, n, starts * 4, w * 4, out * 4),
          rows > 1000 ? 15 : 61,
          rows > 1000 ? 5 : 60,
        );
        return `${name} ${((2 * macs) / ms / 1e6).toFixed(1)}`;
      });
      console.log(`${rows}x${n}x${k} density ${density} tile ${tile}:  ${line.join("   ")}`);
    }
