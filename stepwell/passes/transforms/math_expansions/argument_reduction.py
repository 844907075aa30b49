"""Reduce the argument of sin, cos and tan to a quadrant and a rest of at most pi/4.

Up to a limit, three parts of pi/2 are subtracted with fused multiply-adds (Cody and Waite).  Beyond it the product with
2/pi is formed in integers, from the bits of 2/pi that matter for the argument's exponent (Payne and Hanek, "Radian
reduction for trigonometric functions", 1983).  That road is taken only where an element needs it.
"""

from collections.abc import Sequence

from stepwell.passes.transforms.arithmetic import Number, constant
from stepwell.passes.transforms.math_expansions import coefficients
from stepwell.passes.transforms.math_expansions.formats import format_of, round_to_integer
from stepwell.support.bindings import arith, ir, scf

TWO_OVER_PI = 0.6366197723675814
# Below these the first product with pi/2 is exact and three parts suffice.
LIMIT = {32: 65536.0, 64: 1073741824.0}


def reduce_angle(x: Number) -> tuple[Number, Number, Number]:
    """Return (quadrant, r, r_low): x = quadrant * pi/2 + r + r_low; only the quadrant's low two bits count.

    The quadrant is an integer of the width of x.  Infinite x and NaN give NaN for r.
    """
    huge = x.abs() >= LIMIT[x.element.width]
    quadrant, r, r_low = _reduce_near(huge.select(0.0, x))
    integer = ir.IntegerType.get_signless(x.element.width)
    types = [quadrant.type, x.type, x.type]
    branch = scf.IfOp(huge.any(), types, has_else=True)
    with ir.InsertionPoint(branch.then_block):
        i64 = ir.IntegerType.get_signless(64)
        finite = x.abs() < float("inf")
        wide = finite.select(x, 1.0).cast(ir.F64Type.get())
        far_quadrant, far, far_low = _reduce_far(wide)
        far_r = far.cast(x.element)
        rest = far_low.cast(x.element) if x.element.width == 64 else (far - far_r.cast(far.element)).cast(x.element)
        narrow = far_quadrant.cast(integer) if integer != i64 else far_quadrant
        scf.yield_([huge.select(narrow, quadrant).value, huge.select(far_r, r).value, huge.select(rest, r_low).value])
    with ir.InsertionPoint(branch.else_block):
        scf.yield_([quadrant.value, r.value, r_low.value])
    quadrant, r, r_low = map(Number, branch.results)
    # Infinity minus itself is NaN, and NaN stays.
    return quadrant, (x.abs() < float("inf")).select(r, x - x), r_low


def _reduce_near(x: Number) -> tuple[Number, Number, Number]:
    first, second, third = coefficients.HALF_PI[x.element.width]
    n, shifted = round_to_integer(x * TWO_OVER_PI)
    r = n.fma(-first, x)
    # r is exact.  What the second step loses is kept: its product to twice the precision, its sum by Knuth's method.
    product = n * second
    product_error = n.fma(second, -product)
    middle = r - product
    back = middle - r
    lost = (r - (middle - back)) - (product + back) - product_error
    low = n.fma(-third, lost)
    total = middle + low
    return shifted.bits(), total, (middle - total) + low


def _reduce_far(x: Number) -> tuple[Number, Number, Number]:
    """Reduce finite f64 arguments of at least 2**16."""
    form = format_of(x)
    bits = x.abs().bits()
    exponent = (bits >> form.mantissa) - (form.bias + form.mantissa)
    mantissa = (bits & ((1 << form.mantissa) - 1)) | (1 << form.mantissa)
    # x * 2/pi = mantissa * 2**exponent * 0.w0w1w2...: bits of 2/pi left of position exponent - 2 give multiples of 4.
    # With 64 bits to spare in front, all positions are positive.
    position = exponent + (64 - 2)
    word, shift = position >> 6, position & 63
    words = _words_at(word, (0, *coefficients.TWO_OVER_PI_WORDS), 4)
    p0, p1, p2 = (_shift_pair(words[i], words[i + 1], shift) for i in range(3))
    # The product modulo 4, as a fixed-point number whose first two bits are the quadrant: 0.h0h1 with 128 bits.
    low_high = _multiply_high(mantissa, p2)
    middle_high, middle_low = _multiply_high(mantissa, p1), mantissa * p1
    h1 = middle_low + low_high
    carry = _carry(h1, middle_low)
    h0 = mantissa * p0 + middle_high + carry
    # Round to the nearest multiple of a quarter: the rest is then signed.
    quadrant = (h0 + (1 << 61)) >> 62
    rest0 = h0 - (quadrant << 62)
    negative = rest0 < 0
    # Negate both words where the rest is negative, to convert magnitudes.
    m1 = negative.select(0 - h1, h1)
    borrow = h1.differs(0) & negative
    m0 = negative.select(0 - rest0, rest0) - borrow.select(rest0.constant(1), 0)
    high, low = _fixed_to_floats(m0, m1, x)
    first, second, _ = coefficients.HALF_PI[64]
    r = high * first
    r_low = high.fma(first, -r) + high.fma(second, low * first)
    flip = negative ^ (x < 0.0)
    signed_quadrant = (x < 0.0).select(0 - quadrant, quadrant)
    total = r + r_low
    rest = (r - total) + r_low
    return signed_quadrant, flip.select(-total, total), flip.select(-rest, rest)


def _words_at(index: Number, words: Sequence[int], count: int) -> list[Number]:
    """Return ``count`` consecutive words from position ``index``, chosen by comparisons: no memory is read."""
    padded = [*words, *([0] * count)]
    chosen = [index.constant(padded[i]) for i in range(count)]
    for start in range(1, len(words)):
        here = index.equals(start)
        chosen = [here.select(padded[start + i], value) for i, value in enumerate(chosen)]
    return chosen


def _shift_pair(high: Number, low: Number, shift: Number) -> Number:
    """Return the upper 64 bits of (high, low) shifted left by 0 to 63."""
    # A shift by 64 is undefined, so the low word goes in two steps.
    return (high << shift) | ((low >> 1) >> (shift ^ 63))


def _multiply_high(a: Number, b: Number) -> Number:
    """Return the upper 64 bits of the unsigned product, by 32-bit halves."""
    mask = 0xFFFFFFFF
    a0, a1, b0, b1 = a & mask, a >> 32, b & mask, b >> 32
    low, cross0, cross1, high = a0 * b0, a0 * b1, a1 * b0, a1 * b1
    middle = (low >> 32) + (cross0 & mask) + (cross1 & mask)
    return high + (cross0 >> 32) + (cross1 >> 32) + (middle >> 32)


def _carry(total: Number, part: Number) -> Number:
    """Return 1 where the unsigned sum ``total`` of ``part`` and something wrapped around."""
    wrapped = Number(arith.cmpi(arith.CmpIPredicate.ult, total.value, part.value))
    return wrapped.select(constant(total.type, 1), 0)


def _fixed_to_floats(m0: Number, m1: Number, like: Number) -> tuple[Number, Number]:
    """Return 0.m0m1 in quarters, a magnitude below half a quadrant, as a sum of two f64s."""
    # Three pieces of at most 52 bits, each exact as a float.
    pieces = (m0 >> 32, ((m0 & 0xFFFFFFFF) << 20) | (m1 >> 44), (m1 >> 0) & ((1 << 44) - 1))
    weights = (2.0**-30, 2.0**-82, 2.0**-126)
    magic = like.constant(2.0**52)
    floats = [
        ((piece | magic.bits()).as_float() - magic) * weight for piece, weight in zip(pieces, weights, strict=True)
    ]
    total = floats[0] + floats[1]
    error = (floats[0] - total) + floats[1]
    high = total + (error + floats[2])
    return high, (total - high) + (error + floats[2])
