"""sinh, cosh, tanh and their inverses, by expm1, exp and log1p."""

from stepwell.passes.transforms.arithmetic import Number
from stepwell.passes.transforms.math_expansions.exponential import EXP_RANGE, exp_of_reduced, expm1, reduce_exp
from stepwell.passes.transforms.math_expansions.formats import NAN, format_of, scale_by_power_of_two
from stepwell.passes.transforms.math_expansions.logarithm import log, log1p
from stepwell.passes.transforms.math_expansions.registry import expansion

LN2 = 0.6931471805599453
# Above these, tanh rounds to 1.
TANH_LIMIT = {32: 9.5, 64: 20.0}


def _half_exp(x: Number) -> Number:
    """Return exp(x) / 2 for x >= 0, which overflows later than exp(x)."""
    n, _, r = reduce_exp(x.clamp_high(EXP_RANGE[x.element.width][1] + 1.0))
    return scale_by_power_of_two(exp_of_reduced(r), n - 1.0)


@expansion("math.sinh")
def sinh(x: Number) -> Number:
    """Return the hyperbolic sine."""
    size = x.abs()
    small = expm1(size.clamp_high(2.0))
    small = (small + small / (small + 1.0)) * 0.5
    half = _half_exp(size)
    result = (size < 1.0).select(small, half - 0.25 / half)
    return result.copysign(x)


@expansion("math.cosh")
def cosh(x: Number) -> Number:
    """Return the hyperbolic cosine."""
    half = _half_exp(x.abs())
    return half + 0.25 / half


@expansion("math.tanh")
def tanh(x: Number) -> Number:
    """Return the hyperbolic tangent: t / (t + 2) with t = expm1(2|x|)."""
    size = x.abs().clamp_high(TANH_LIMIT[x.element.width])
    t = expm1(size + size)
    return (t / (t + 2.0)).copysign(x)


@expansion("math.asinh")
def asinh(x: Number) -> Number:
    """Return the inverse hyperbolic sine."""
    size = x.abs()
    large = 1.0 / format_of(x).epsilon
    square = size * size
    near = log1p(size + square / ((square + 1.0).sqrt() + 1.0))
    return (size > float(large**0.5)).select(log(size) + LN2, near).copysign(x)


@expansion("math.acosh")
def acosh(x: Number) -> Number:
    """Return the inverse hyperbolic cosine; NaN below 1."""
    large = 1.0 / format_of(x).epsilon
    t = x - 1.0
    near = log1p(t + (t.fma(t, t + t)).sqrt())
    result = (x > large).select(log(x) + LN2, near)
    return (x >= 1.0).select(result, NAN)


@expansion("math.atanh")
def atanh(x: Number) -> Number:
    """Return the inverse hyperbolic tangent; NaN beyond 1."""
    size = x.abs()
    twice = size + size
    result = log1p(twice / (1.0 - size)) * 0.5
    tiny = size < format_of(x).epsilon
    return tiny.select(x, result.copysign(x))
