/**
 * sigmoid over a row: what makes a polynomial loop fast on V8?
 *
 *   node lab/sigmoid.mjs
 *
 * call      a function per vector: its constants are made again at every call
 * loop      one loop over the row, Horner's scheme
 * pairs     the polynomial in pairs (a shorter chain of dependent steps)
 * denormals pairs, and the power of two in two factors, exact down to denormals
 * Reference: float64. Errors in units of the last place, over -80..80.
 */
import { compile, fillRandom, median } from "./lab.mjs";

const k = (x) => `f32x4.splat(${x})`;
const horner = `
  let p = f32x4.add(f32x4.mul(${k(1.98756915e-4)}, r), ${k(1.3981999507e-3)});
  p = f32x4.add(f32x4.mul(p, r), ${k(8.3334519073e-3)});
  p = f32x4.add(f32x4.mul(p, r), ${k(4.1665795894e-2)});
  p = f32x4.add(f32x4.mul(p, r), ${k(1.6666665459e-1)});
  p = f32x4.add(f32x4.mul(p, r), ${k(5.0000001201e-1)});`;
const pairs = `
  const high = f32x4.add(f32x4.mul(${k(1.98756915e-4)}, r), ${k(1.3981999507e-3)});
  const middle = f32x4.add(f32x4.mul(${k(8.3334519073e-3)}, r), ${k(4.1665795894e-2)});
  const low = f32x4.add(f32x4.mul(${k(1.6666665459e-1)}, r), ${k(5.0000001201e-1)});
  const p = f32x4.add(low, f32x4.mul(f32x4.add(middle, f32x4.mul(high, z)), z));`;
const oneFactor = `f32x4.mul(e, i32x4.shl(i32x4.max_s(i32x4.add(n, i32x4.splat(127)), i32x4.splat(0)), 23))`;
const twoFactors = `f32x4.mul(e, f32x4.mul(i32x4.shl(i32x4.add(i32x4.shr_s(n, 1), i32x4.splat(127)), 23),
  i32x4.shl(i32x4.add(i32x4.sub(n, i32x4.shr_s(n, 1)), i32x4.splat(127)), 23)))`;

const variant = (name, decorator, polynomial, scale) => `
${decorator}
function f_${name}(v: v128): v128 {
  const x = f32x4.pmax(v128.or(v, i32x4.splat(0x80000000)), ${k("-100")});
  const shifted = f32x4.add(f32x4.mul(x, ${k(1.44269504)}), ${k(12582912)});
  const whole = f32x4.sub(shifted, ${k(12582912)});
  const n = i32x4.sub(shifted, ${k(12582912)});
  const r = f32x4.sub(f32x4.sub(x, f32x4.mul(whole, ${k(0.693359375)})), f32x4.mul(whole, ${k(-2.1219444e-4)}));
  const z = f32x4.mul(r, r);
  ${polynomial}
  let e = f32x4.add(f32x4.add(f32x4.mul(p, z), r), ${k(1)});
  e = ${scale};
  const q = f32x4.div(e, f32x4.add(${k(1)}, e));
  return v128.bitselect(q, f32x4.sub(${k(1)}, q), f32x4.lt(v, ${k(0)}));
}
export function ${name}(x: usize, out: usize, length: i32): void {
  for (let i = length >> 2; i > 0; i--) {
    v128.store(out, f_${name}(v128.load(x)));
    x += 16;
    out += 16;
  }
}`;

// Binaryen would inline a function used once, so "call" has a second user.
const wasm = await compile(
  [
    variant("call", "", horner, oneFactor),
    "export function second(x: usize): void { v128.store(x, f_call(v128.load(x))); v128.store(x, f_call(v128.load(x)), 16); }",
    variant("loop", "@inline", horner, oneFactor),
    variant("pairs", "@inline", pairs, oneFactor),
    variant("denormals", "@inline", pairs, twoFactors),
  ].join("\n"),
);
const floats = new Float32Array(wasm.memory.buffer);
const [x, out, length] = [1024, 65536, 25600];
fillRandom(floats.subarray(x, x + length), 1);
for (let i = 0; i < length; i++) floats[x + i] *= 80;
for (const name of ["call", "loop", "pairs", "denormals"]) {
  const ms = median(() => wasm[name](x * 4, out * 4, length), 501, 100);
  let worst = 0;
  for (let i = 0; i < length; i++) {
    const v = floats[x + i];
    const exact = v < 0 ? Math.exp(v) / (1 + Math.exp(v)) : 1 / (1 + Math.exp(-v));
    const ulp = 2 ** (Math.max(Math.floor(Math.log2(exact)), -126) - 23);
    worst = Math.max(worst, Math.abs(floats[out + i] - exact) / ulp);
  }
  console.log(`${name.padEnd(10)} ${((ms * 1e6) / length).toFixed(2)} ns an element, error ${worst.toFixed(2)} ulp`);
}
