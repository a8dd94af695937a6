/**
 * Dense product, out (M, N) += a (M, K) b (K, N): which register block, and is packing A worth it?
 *
 *   node lab/gemm.mjs
 *
 * Every variant: b packed in panels of its width once, a packed k-major per call (or read in place,
 * "strided"), k unrolled. Checked against a double sum.
 */
import { compile, fillRandom, median } from "./lab.mjs";

/** rows x vectors*4 accumulators; `packed` says whether A is k-major. */
function micro(rows, vectors, unroll, packed) {
  const name = `m${rows}x${vectors * 4}u${unroll}${packed ? "p" : "s"}`;
  const lines = [];
  const each = (n, f) => Array.from({ length: n }, (_, i) => f(i));
  lines.push(`function ${name}(k: i32, a: usize, lda: usize, b: usize, c: usize, ldc: usize): void {`);
  for (let r = 0; r < rows; r++) for (let v = 0; v < vectors; v++) lines.push(`let c${r}_${v} = f32x4.splat(0);`);
  if (!packed) for (let r = 0; r < rows; r++) lines.push(`let a${r} = a + ${r} * lda;`);
  const body = (u) => {
    for (let v = 0; v < vectors; v++) lines.push(`b${v} = v128.load(b, ${(u * vectors + v) * 16});`);
    for (let r = 0; r < rows; r++) {
      lines.push(
        packed ? `x = v128.load32_splat(a, ${(u * rows + r) * 4});` : `x = v128.load32_splat(a${r}, ${u * 4});`,
      );
      for (let v = 0; v < vectors; v++) lines.push(`c${r}_${v} = f32x4.add(c${r}_${v}, f32x4.mul(x, b${v}));`);
    }
  };
  lines.push("let x: v128;");
  for (let v = 0; v < vectors; v++) lines.push(`let b${v}: v128;`);
  const step = (n) => {
    lines.push(packed ? `a += ${n * rows * 4};` : each(rows, (r) => `a${r} += ${n * 4};`).join(" "));
    lines.push(`b += ${n * vectors * 16};`);
  };
  lines.push(`let n = k / ${unroll};`, "while (n > 0) {");
  for (let u = 0; u < unroll; u++) body(u);
  step(unroll);
  lines.push("n--;", "}", `n = k % ${unroll};`, "while (n > 0) {");
  body(0);
  step(1);
  lines.push("n--;", "}");
  for (let r = 0; r < rows; r++)
    for (let v = 0; v < vectors; v++)
      lines.push(`v128.store(c + ${r} * ldc, f32x4.add(v128.load(c + ${r} * ldc, ${v * 16}), c${r}_${v}), ${v * 16});`);
  lines.push("}");
  // driver
  lines.push(`export function gemm_${name}(m: i32, n: i32, k: i32, a: usize, ap: usize, bp: usize, c: usize): void {
    let ldc = <usize>n * 4;
    ${packed ? `for (let i = 0; i + ${rows} <= m; i += ${rows}) packA(k, ${rows}, a + <usize>(i * k) * 4, ap + <usize>(i * k) * 4);` : ""}
    for (let j = 0; j + ${vectors * 4} <= n; j += ${vectors * 4})
      for (let i = 0; i + ${rows} <= m; i += ${rows})
        ${name}(k, (${packed ? "ap" : "a"}) + <usize>(i * k) * 4, <usize>k * 4, bp + <usize>(j * k) * 4, c + <usize>i * ldc + <usize>j * 4, ldc);
  }`);
  return { name, rows, width: vectors * 4, source: lines.join("\n") };
}

const common = `
function packA(k: i32, rows: i32, a: usize, out: usize): void {
  for (let r = 0; r < rows; r++) {
    let p = out + <usize>r * 4;
    let q = a + <usize>(r * k) * 4;
    for (let i = 0; i < k; i++) { store<f32>(p, load<f32>(q)); p += <usize>rows * 4; q += 4; }
  }
}`;

const variants = [];
for (const [rows, vectors] of [
  [4, 2],
  [5, 2],
  [6, 2],
  [4, 3],
  [3, 3],
  [3, 4],
  [2, 4],
  [1, 8],
  [8, 1],
  [10, 1],
  [12, 1],
])
  for (const unroll of [1, 4]) for (const packed of [true, false]) variants.push(micro(rows, vectors, unroll, packed));

const shapes = [
  { label: "h U^T, H=128", m: 50, n: 512, k: 128 },
  { label: "dh, H=128", m: 50, n: 128, k: 512 },
  { label: "h U^T, H=512", m: 50, n: 2048, k: 512 },
];

const wasm = await compile(common + variants.map((v) => v.source).join("\n"), 2048);
const floats = new Float32Array(wasm.memory.buffer);
const only = process.argv[2];
for (const { label, m, n, k } of shapes) {
  const a = 1024;
  const ap = a + m * k + 1024;
  const b = ap + m * k + 1024;
  const bp = b + k * n;
  const c = bp + k * n;
  fillRandom(floats.subarray(a, a + m * k), 1);
  fillRandom(floats.subarray(b, b + k * n), 2);
  console.log(label);
  for (const { name, rows, width } of variants) {
    if (only && !name.includes(only)) continue;
    const usedM = m - (m % rows);
    const usedN = n - (n % width);
    for (let j = 0; j + width <= n; j += width)
      for (let i = 0; i < k; i++)
        for (let x = 0; x < width; x++) floats[bp + j * k + i * width + x] = floats[b + i * n + j + x];
    floats.fill(0, c, c + m * n);
    const run = () => wasm[`gemm_${name}`](m, n, k, a * 4, ap * 4, bp * 4, c * 4);
    run();
    let worst = 0;
    for (let i = 0; i < usedM; i += 7)
      for (let j = 0; j < usedN; j += 13) {
        let sum = 0;
        for (let x = 0; x < k; x++) sum += floats[a + i * k + x] * floats[b + x * n + j];
        worst = Math.max(worst, Math.abs(sum - floats[c + i * n + j]));
      }
    const ms = median(run, 61, 60);
    console.log(
      `  ${name.padEnd(10)} ${((2 * usedM * usedN * k) / ms / 1e6).toFixed(1)} GFLOP/s  error ${worst.toExponential(1)}`,
    );
  }
}
