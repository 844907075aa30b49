"""log, log2, log10, log1p.

The argument is split into m * 2**e with m in [sqrt(1/2), sqrt(2)); with f = m - 1 and s = f / (2 + f),
log m = f - (f^2/2 - s (f^2/2 + R(s^2))), as in Sun's fdlibm (e_log.c, s_log1p.c).  The leading terms are kept
as a sum of two floats, which makes the other bases as exact.
"""

from stepwell.passes.transforms.arithmetic import Number, polynomial
from stepwell.passes.transforms.math_expansions import coefficients
from stepwell.passes.transforms.math_expansions.formats import INFINITY, NAN, format_of, split_exponent
from stepwell.passes.transforms.math_expansions.registry import expansion

SQRT_HALF = 0.7071067811865476


def log_of_mantissa(f: Number) -> tuple[Number, Number]:
    """Return log(1 + f) as a sum (high, low), for 1 + f in [sqrt(1/2), sqrt(2))."""
    half_f = f * 0.5
    half_square = half_f * f
    square_error = half_f.fma(f, -half_square)
    s = f / (f + 2.0)
    z = s * s
    tail = s * (half_square + z * polynomial(z, coefficients.LOG[f.element.width]))
    high = f - half_square
    return high, ((f - high) - half_square) - square_error + tail


def finish_log(x: Number, result: Number) -> Number:
    """Put in the results for zero, negative and infinite arguments, and NaN."""
    result = x.equals(INFINITY).select(INFINITY, result)
    result = x.equals(0.0).select(-INFINITY, result)
    # False for NaN, which becomes NaN too.
    return (x >= 0.0).select(result, NAN)


@expansion("math.log")
def log(x: Number) -> Number:
    """Return the natural logarithm."""
    ln2_high, ln2_low = coefficients.LN2[x.element.width]
    e, m = split_exponent(x, SQRT_HALF)
    high, low = log_of_mantissa(m - 1.0)
    return finish_log(x, e.fma(ln2_high, high + e.fma(ln2_low, low)))


def _scaled_log(x: Number, factor: tuple[float, float], step: tuple[float, float]) -> Number:
    """Return e * step + log(m) * factor; both constants are sums of two floats."""
    e, m = split_exponent(x, SQRT_HALF)
    high, low = log_of_mantissa(m - 1.0)
    product = high * factor[0]
    rest = high.fma(factor[0], -product) + low.fma(factor[0], high * factor[1])
    whole = e * step[0]
    whole_error = e.fma(step[0], -whole) + e * step[1]
    # |whole| is 0 or larger than |product|: the error of their sum is known exactly.
    total = whole + product
    error = (whole - total) + product
    return finish_log(x, total + (error + (rest + whole_error)))


@expansion("math.log2")
def log2(x: Number) -> Number:
    """Return the logarithm to base 2, exact for powers of two."""
    return _scaled_log(x, coefficients.LOG2_E[x.element.width], (1.0, 0.0))


@expansion("math.log10")
def log10(x: Number) -> Number:
    """Return the logarithm to base 10."""
    return _scaled_log(x, coefficients.LOG10_E[x.element.width], coefficients.LOG10_2[x.element.width])


@expansion("math.log1p")
def log1p(x: Number) -> Number:
    """Return log(1 + x) without loss near 0."""
    ln2_high, ln2_low = coefficients.LN2[x.element.width]
    u = x + 1.0
    # What the rounding of u lost, relative to u; u is at least 1/2 of a unit where x is near -1.
    lost = (x < 1.0).select(x - (u - 1.0), 1.0 - (u - x)) / u
    e, m = split_exponent(u, SQRT_HALF)
    high, low = log_of_mantissa(m - 1.0)
    result = e.fma(ln2_high, high + e.fma(ln2_low, low + lost))
    result = finish_log(u, result)
    return (x.abs() < format_of(x).epsilon * 0.25).select(x, result)
