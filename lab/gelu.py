"""The polynomial by which wasm and native compute GELU, and its error: python3 lab/gelu.py, with numpy and mpmath.

F(-x) = R(x) exp(-x^2 / 2), x >= 0, F the normal distribution function. R falls from 1/2 like 1 / (x sqrt(2 pi)), so
R(x) (1 + x) is nearly constant; of t = (x - K) / (x + K) it is a polynomial to 1.4e-8 over x in [0, 14], and exp is 0 in
float32 from there on. K = 3.5 is the best of 2, 2.5, 3, 3.5, 4 and 5.
"""

import mpmath
import numpy

K, DEGREE, END = 3.5, 9, 14.0
mpmath.mp.dps = 30


def ratio(x):
    """R(x)."""
    x = mpmath.mpf(float(x))
    return mpmath.exp(x * x / 2) * mpmath.erfc(x / mpmath.sqrt(2)) / 2


def fit(points=400, rounds=30):
    """Nearly the least largest relative error: least squares at Chebyshev's points, weighted by the error of before."""
    end = (END - K) / (END + K)
    s = numpy.cos(numpy.pi * (numpy.arange(points) + 0.5) / points)
    t = (s + 1) / 2 * (end + 1) - 1
    x = K * (1 + t) / (1 - t)
    wanted = numpy.array([float(ratio(v) * (1 + mpmath.mpf(v))) for v in x])
    weights = numpy.ones(points)
    for _ in range(rounds):
        series = numpy.polynomial.chebyshev.chebfit(s, wanted, DEGREE, w=weights / wanted)
        errors = numpy.abs(numpy.polynomial.chebyshev.chebval(s, series) / wanted - 1)
        weights = weights * (numpy.sqrt(errors / errors.max()) + 1e-3)
    of_s = numpy.polynomial.Polynomial(numpy.polynomial.chebyshev.cheb2poly(series))
    to_s = numpy.polynomial.Polynomial([2 / (end + 1) - 1, 2 / (end + 1)])
    return of_s(to_s).coef, errors.max()


def in_float32(coefficients, x):
    f = numpy.float32
    x = x.astype(f)
    inverse = f(1) / ((x + f(K)) * (x + f(1)))
    t = (x - f(K)) * (x + f(1)) * inverse
    p = numpy.full_like(x, f(coefficients[-1]))
    for c in coefficients[-2::-1]:
        p = p * t + f(c)
    return p * (x + f(K)) * inverse


coefficients, error = fit()
print(f"relative error {error:.2e}; coefficients of t^0, t^1, ...")
for c in coefficients:
    print(f"  {numpy.float32(c):.9e}")
x = numpy.linspace(0, END, 4001, dtype=numpy.float32)
exact = [ratio(v) for v in x]
got = in_float32(coefficients, x)
print(f"in float32: {max(abs(float(g) / float(e) - 1) for g, e in zip(got, exact)) * 2**23:.2f} units of 2^-23")
