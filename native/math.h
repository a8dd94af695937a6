// exp, sigmoid and tanh of a vector, and a logarithm.
//
// 1 - y and 1 - y^2 near saturation scale every gate gradient, so y comes from q = e / (1 + e) with
// e = exp(-abs(x)) as 1 - q: one rounding, and 1 exactly where float32 rounds to it. NaN passes.
// Polynomials: Cephes, expf.c and tanhf.c (S. Moshier); errors measured in the contract tests.
#pragma once

/// exp(r) 2^n, where n = shifted - magic is an integer, which `shifted` has in its low bits.
INLINE V powerOf(V r, V shifted, V magic) {
  V p = r * 1.9875691500e-4f + 1.3981999507e-3f;
  p = p * r + 8.3334519073e-3f;
  p = p * r + 4.1665795894e-2f;
  p = p * r + 1.6666665459e-1f;
  p = p * r + 5.0000001201e-1f;
  p = p * (r * r) + r + 1;
#if defined(__AVX512F__)
  return V(_mm512_scalef_ps(__m512(p), __m512(shifted - magic)));
#else
  // 2^n in two factors: n reaches -152, where one would not be a float.
  const I integer = I(shifted) - I(magic);
  const I half = integer >> 1;
  return p * V((half + 127) << 23) * V((integer - half + 127) << 23);
#endif
}

/// exp(x) for x <= 0, down to denormals.
INLINE V expNegative(V x) {
  // Below -104 the result rounds to zero. A NaN is not less than -105 and stays.
  x = x < splat(-105) ? splat(-105) : x;
  const V magic = splat(12582912);  // 1.5 * 2^23: adding it rounds to an integer in the low bits
  const V shifted = x * 1.44269504088896341f + magic;
  const V n = shifted - magic;
  V r = x - n * 0.693359375f;
  r = r - n * -2.12194440e-4f;
  return powerOf(r, shifted, magic);
}

/// exp(x + rest) for -105 <= x <= 0 and a rest below 0.1 that x has no room for.
INLINE V expNegative(V x, V rest) {
  const V magic = splat(12582912);
  const V shifted = x * 1.44269504088896341f + magic;
  const V n = shifted - magic;
  V r = x - n * 0.693359375f;
  r = r - n * -2.12194440e-4f + rest;
  return powerOf(r, shifted, magic);
}

INLINE V sigmoid(V x) {
  const V e = expNegative(V(I(x) | INT32_MIN));
  const V q = e / (1 + e);
  return x < 0 ? q : 1 - q;
}

INLINE V tanh(V x) {
  const V size = magnitude(x);
  const V e = expNegative(size * -2);
  const V far = 1 - (e + e) / (1 + e);
  const V z = x * x;
  V p = z * -5.70498872745e-3f + 2.06390887954e-2f;
  p = p * z + -5.37397155531e-2f;
  p = p * z + 1.33314422036e-1f;
  p = p * z + -3.33332819422e-1f;
  const V near = p * z * x + x;
  return size < 0.625f ? near : V(I(far) | (I(x) & INT32_MIN));
}

static float inverseRoot(double x) { return static_cast<float>(1 / __builtin_sqrt(x)); }

/// Natural logarithm of a finite x > 0; anything else as Math.log. Error below 2 ulp.
static double logarithm(double x) {
  if (!(x > 0) || x == __builtin_inf()) return x == 0 ? -__builtin_inf() : x > 0 ? x : __builtin_nan("");
  uint64_t bits;
  memcpy(&bits, &x, 8);
  int exponent = static_cast<int>(bits >> 52) - 1023;
  bits = (bits & 0x000fffffffffffff) | 0x3ff0000000000000;
  double m;
  memcpy(&m, &bits, 8);
  if (m > 1.4142135623730951) {
    m *= 0.5;
    exponent++;
  }
  // log m = 2 artanh s, s = (m - 1) / (m + 1), abs(s) < 0.172: the first term left out is below 1e-17.
  const double s = (m - 1) / (m + 1);
  const double z = s * s;
  double sum = 0;
  for (int i = 21; i > 1; i -= 2) sum = sum * z + 1.0 / i;
  return exponent * 0.6931471805599453 + 2 * s * (sum * z + 1);
}
