"""sin, cos, tan, sincos: polynomials on the rest of the argument reduction, chosen by quadrant."""

from stepwell.passes.transforms.arithmetic import Number, polynomial
from stepwell.passes.transforms.math_expansions import coefficients
from stepwell.passes.transforms.math_expansions.argument_reduction import reduce_angle
from stepwell.passes.transforms.math_expansions.formats import format_of
from stepwell.passes.transforms.math_expansions.registry import expansion


def _sine(r: Number, r_low: Number) -> Number:
    """Return sin(r + r_low) for |r| <= pi/4."""
    z = r * r
    cube = z * r
    # sin(r + l) = sin r + l cos r, with cos r by its first terms.
    correction = r_low * z.fma(-0.5, 1.0)
    return r + cube.fma(polynomial(z, coefficients.SIN[r.element.width]), correction)


def _cosine(r: Number, r_low: Number) -> Number:
    """Return cos(r + r_low) for |r| <= pi/4."""
    z = r * r
    half = z * 0.5
    whole = 1.0 - half
    lost = (1.0 - whole) - half
    tail = (z * z).fma(polynomial(z, coefficients.COS[r.element.width]), lost - r * r_low)
    return whole + tail


def _choose(quadrant: Number, sine: Number, cosine: Number) -> Number:
    """Return the sine in the given quadrant."""
    value = (quadrant & 1).differs(0).select(cosine, sine)
    return (quadrant & 2).differs(0).select(-value, value)


@expansion("math.sincos")
def sincos(x: Number) -> tuple[Number, Number]:
    """Return sine and cosine."""
    quadrant, r, r_low = reduce_angle(x)
    sine, cosine = _sine(r, r_low), _cosine(r, r_low)
    return _keep_tiny(x, _choose(quadrant, sine, cosine)), _choose(quadrant + 1, sine, cosine)


@expansion("math.sin")
def sin(x: Number) -> Number:
    """Return the sine."""
    return sincos(x)[0]


@expansion("math.cos")
def cos(x: Number) -> Number:
    """Return the cosine."""
    return sincos(x)[1]


@expansion("math.tan")
def tan(x: Number) -> Number:
    """Return the tangent."""
    quadrant, r, r_low = reduce_angle(x)
    sine, cosine = _sine(r, r_low), _cosine(r, r_low)
    odd = (quadrant & 1).differs(0)
    top, bottom = odd.select(-cosine, sine), odd.select(sine, cosine)
    return _keep_tiny(x, top / bottom)


def _keep_tiny(x: Number, result: Number) -> Number:
    """A tiny angle is its own sine and tangent, and a negative zero stays one."""
    return (x.abs() < format_of(x).epsilon).select(x, result)
