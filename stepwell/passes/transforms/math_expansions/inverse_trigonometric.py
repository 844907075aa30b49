"""asin, acos, atan, atan2: polynomials in x^2 after the usual reductions (Cephes, asinf.c and atanf.c)."""

from stepwell.passes.transforms.arithmetic import Number, polynomial
from stepwell.passes.transforms.math_expansions import coefficients
from stepwell.passes.transforms.math_expansions.formats import INFINITY
from stepwell.passes.transforms.math_expansions.registry import expansion


def _asin_tail(z: Number, x: Number) -> Number:
    """Return asin(x) - x for x**2 = z <= 1/4."""
    return z * x * polynomial(z, coefficients.ASIN[x.element.width])


def _square_root(z: Number) -> tuple[Number, Number]:
    """Return sqrt(z) as a sum of two floats."""
    s = z.sqrt()
    lost = s.fma(-s, z)
    return s, s.equals(0.0).select(0.0, lost / (s + s))


@expansion("math.asin")
def asin(x: Number) -> Number:
    """Return the arc sine; NaN beyond 1."""
    high, low, _ = coefficients.HALF_PI[x.element.width]
    size = x.abs()
    far = size > 0.5
    z_far = (1.0 - size) * 0.5
    s, s_low = _square_root(z_far)
    tail = _asin_tail(far.select(z_far, size * size), far.select(s, size))
    # pi/2 - 2 asin(sqrt((1 - x) / 2))
    complement = (s_low + tail) * 2.0 - low
    total = high - (s + s)
    error = (high - total) - (s + s)
    result = far.select(total + (error - complement), size + tail)
    return result.copysign(x)


@expansion("math.acos")
def acos(x: Number) -> Number:
    """Return the arc cosine; NaN beyond 1."""
    high, low, _ = coefficients.HALF_PI[x.element.width]
    size = x.abs()
    far = size > 0.5
    z_far = (1.0 - size) * 0.5
    s, s_low = _square_root(z_far)
    tail = _asin_tail(far.select(z_far, size * size), far.select(s, x))
    near = high - (x - (low - tail))
    half = s + (s_low + tail)
    angle = half + half
    mirrored = 2.0 * high - (angle - 2.0 * low)
    return far.select((x < 0.0).select(mirrored, angle), near)


def _atan_of_fraction(t: Number) -> Number:
    """Return atan(t) for 0 <= t <= 1."""
    z = t * t
    return (t * z).fma(polynomial(z, coefficients.ATAN[t.element.width]), t)


@expansion("math.atan")
def atan(x: Number) -> Number:
    """Return the arc tangent."""
    high, low, _ = coefficients.HALF_PI[x.element.width]
    size = x.abs()
    far = size > 1.0
    t = far.select(1.0 / size, size)
    near = _atan_of_fraction(t)
    return far.select(high - (near - low), near).copysign(x)


@expansion("math.atan2")
def atan2(y: Number, x: Number) -> Number:
    """Return the angle of the point (x, y), with C99's answers for zeros and infinities."""
    high, low, _ = coefficients.HALF_PI[x.element.width]
    width, height = x.abs(), y.abs()
    steep = height > width
    small, large = steep.select(width, height), steep.select(height, width)
    t = small / large
    # 0/0 and infinity/infinity: the axis and the diagonal.
    t = large.equals(0.0).select(0.0, t)
    t = (small.equals(INFINITY)).select(1.0, t)
    angle = _atan_of_fraction(t)
    angle = steep.select(high - (angle - low), angle)
    left = x.constant(1.0).copysign(x) < 0.0
    angle = left.select(2.0 * high - (angle - 2.0 * low), angle)
    angle = (x.is_nan() | y.is_nan()).select(x + y, angle)
    return angle.copysign(y)
