/**
 * The complementary error function in float64, to 1 ulp, as FreeBSD's msun (s_erf.c) has it:
 *
 * Copyright (C) 1993 by Sun Microsystems, Inc. All rights reserved.
 * Developed at SunPro, a Sun Microsystems, Inc. business.
 * Permission to use, copy, modify, and distribute this software is freely granted, provided that this notice is preserved.
 *
 * The split of exp(-x^2), there by clearing half of x's bits, is left out: relative error below 1e-14 for |x| < 6.
 */

/** Numerator and denominator, from the constant on: of x^2 below 0.84375, of |x| - 1 below 1.25, of 1 / x^2 from there. */
const NEAR_ZERO = [
  [0.12837916709551256, -0.3250421072470015, -0.02848174957559851, -0.005770270296489442, -2.3763016656650163e-5],
  [1, 0.39791722395915535, 0.0650222499887673, 0.005081306281875766, 0.00013249473800432164, -3.960228278775368e-6],
] as const;
const NEAR_ONE = [
  [
    -0.0023621185607526594, 0.41485611868374833, -0.3722078760357013, 0.31834661990116175, -0.11089469428239668,
    0.035478304325618236, -0.002166375594868791,
  ],
  [
    1, 0.10642088040084423, 0.540397917702171, 0.07182865441419627, 0.12617121980876164, 0.01363708391202905,
    0.011984499846799107,
  ],
] as const;
const MIDDLE = [
  [
    -0.009864944034847148, -0.6938585727071818, -10.558626225323291, -62.375332450326006, -162.39666946257347,
    -184.60509290671104, -81.2874355063066, -9.814329344169145,
  ],
  [
    1, 19.651271667439257, 137.65775414351904, 434.56587747522923, 645.3872717332679, 429.00814002756783,
    108.63500554177944, 6.570249770319282, -0.0604244152148581,
  ],
] as const;
const FAR = [
  [
    -0.0098649429247001, -0.799283237680523, -17.757954917754752, -160.63638485582192, -637.5664433683896,
    -1025.0951316110772, -483.5191916086514,
  ],
  [
    1, 30.33806074348246, 325.7925129965739, 1536.729586084437, 3199.8582195085955, 2553.0504064331644,
    474.52854120695537, -22.44095244658582,
  ],
] as const;
const AT_ONE = 0.8450629115104675; // erf(1), rounded to float32

export function erfc(x: number): number {
  const size = Math.abs(x);
  if (size < 0.84375) return 1 - (x + x * ratio(NEAR_ZERO, x * x));
  if (size < 1.25) {
    const y = AT_ONE + ratio(NEAR_ONE, size - 1);
    return x > 0 ? 1 - y : 1 + y;
  }
  if (size > 28) return x > 0 ? 0 : 2;
  const y = (Math.exp(-x * x - 0.5625) * Math.exp(ratio(size < 1 / 0.35 ? MIDDLE : FAR, 1 / (x * x)))) / size;
  return x > 0 ? y : 2 - y;
}

function ratio([over, under]: readonly [readonly number[], readonly number[]], at: number): number {
  return polynomial(over, at) / polynomial(under, at);
}

function polynomial(coefficients: readonly number[], at: number): number {
  let sum = 0;
  for (let i = coefficients.length - 1; i >= 0; i--) sum = sum * at + coefficients[i]!;
  return sum;
}
