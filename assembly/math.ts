/**
 * exp, sigmoid and tanh of four floats.
 *
 * 1 - y and 1 - y^2 near saturation scale every gate gradient, so y comes from q = e / (1 + e) with
 * e = exp(-abs(x)) as 1 - q: one rounding, and 1 exactly where float32 rounds to it. NaN passes.
 * Polynomials: Cephes, expf.c and tanhf.c (S. Moshier); errors measured in the contract tests.
 */

// @ts-ignore: decorator
@inline
function constant(x: f32): v128 {
  return f32x4.splat(x);
}

/**
 * exp(x) for x <= 0; 0 where it is below the normal floats (x < -87.7). The loops that use it wait for results rather than for
 * units, so the polynomial is evaluated in pairs and the power of two beside it.
 */
// @ts-ignore: decorator
@inline
export function expNegative(x: v128): v128 {
  // Far below, n would be no integer. A NaN is not less than -100 and stays.
  x = f32x4.pmax(x, constant(-100));
  const magic = constant(12582912); // 1.5 * 2^23: adding it rounds to an integer in the low bits
  const shifted = f32x4.add(f32x4.mul(x, constant(1.44269504088896341)), magic);
  const n = f32x4.sub(shifted, magic);
  const r = f32x4.sub(
    f32x4.sub(x, f32x4.mul(n, constant(0.693359375))),
    f32x4.mul(n, constant(-2.12194440e-4)),
  );
  return powerOf(r, shifted, magic);
}

/** exp(x + rest) for -100 < x <= 0 and a rest below 0.1 that x has no room for. */
// @ts-ignore: decorator
@inline
export function expSum(x: v128, rest: v128): v128 {
  const magic = constant(12582912);
  const shifted = f32x4.add(f32x4.mul(x, constant(1.44269504088896341)), magic);
  const n = f32x4.sub(shifted, magic);
  const r = f32x4.sub(
    f32x4.sub(x, f32x4.mul(n, constant(0.693359375))),
    f32x4.mul(n, constant(-2.12194440e-4)),
  );
  return powerOf(f32x4.add(r, rest), shifted, magic);
}

/** exp(r) 2^n, where n = shifted - magic is an integer, which `shifted` has in its low bits. */
// @ts-ignore: decorator
@inline
function powerOf(r: v128, shifted: v128, magic: v128): v128 {
  const z = f32x4.mul(r, r);
  const high = f32x4.add(f32x4.mul(constant(1.9875691500e-4), r), constant(1.3981999507e-3));
  const middle = f32x4.add(f32x4.mul(constant(8.3334519073e-3), r), constant(4.1665795894e-2));
  const low = f32x4.add(f32x4.mul(constant(1.6666665459e-1), r), constant(5.0000001201e-1));
  const p = f32x4.add(low, f32x4.mul(f32x4.add(middle, f32x4.mul(high, z)), z));
  const e = f32x4.add(f32x4.add(f32x4.mul(p, z), r), constant(1));
  // The exponent of 2^n by hand; n < -126 gives 0, a denormal would cost 8 % of the cell.
  const exponent = i32x4.max_s(i32x4.add(i32x4.sub(shifted, magic), i32x4.splat(127)), i32x4.splat(0));
  return f32x4.mul(e, i32x4.shl(exponent, 23));
}

/** -abs(x): one instruction where abs and neg take three each. */
// @ts-ignore: decorator
@inline
function negativeSize(x: v128): v128 {
  return v128.or(x, i32x4.splat(0x80000000));
}

// @ts-ignore: decorator
@inline
export function sigmoid(x: v128): v128 {
  const e = expNegative(negativeSize(x));
  const q = f32x4.div(e, f32x4.add(constant(1), e));
  return v128.bitselect(q, f32x4.sub(constant(1), q), f32x4.lt(x, constant(0)));
}

// @ts-ignore: decorator
@inline
export function tanh(x: v128): v128 {
  const size = negativeSize(x);
  const e = expNegative(f32x4.add(size, size));
  const far = f32x4.sub(constant(1), f32x4.div(f32x4.add(e, e), f32x4.add(constant(1), e)));
  const z = f32x4.mul(x, x);
  const high = f32x4.add(f32x4.mul(constant(-5.70498872745e-3), z), constant(2.06390887954e-2));
  const middle = f32x4.add(f32x4.mul(constant(-5.37397155531e-2), z), constant(1.33314422036e-1));
  const p = f32x4.add(
    f32x4.mul(f32x4.add(middle, f32x4.mul(high, f32x4.mul(z, z))), z),
    constant(-3.33332819422e-1),
  );
  const near = f32x4.add(f32x4.mul(f32x4.mul(p, z), x), x);
  const sign = v128.and(x, i32x4.splat(0x80000000));
  return v128.bitselect(near, v128.or(far, sign), f32x4.gt(size, constant(-0.625)));
}

/** Natural logarithm in float64 of a finite x > 0; anything else as Math.log. Error below 2 ulp. */
export function log(x: f64): f64 {
  if (!(x > 0) || x == Infinity) return x == 0 ? -Infinity : x > 0 ? x : NaN;
  const bits = reinterpret<i64>(x);
  let exponent = <i32>(bits >> 52) - 1023;
  let m = reinterpret<f64>((bits & 0x000fffffffffffff) | 0x3ff0000000000000);
  if (m > 1.4142135623730951) {
    m *= 0.5;
    exponent++;
  }
  // log m = 2 artanh s, s = (m - 1) / (m + 1), abs(s) < 0.172: the first term left out is below 1e-17.
  const s = (m - 1) / (m + 1);
  const z = s * s;
  let sum = 0.0;
  for (let i = 21; i > 1; i -= 2) sum = sum * z + 1.0 / <f64>i;
  return <f64>exponent * 0.6931471805599453 + 2 * s * (sum * z + 1);
}
