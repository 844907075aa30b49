"""Spell out the remainder of floats, ``arith.remf``, in integer arithmetic.

Takes and gives any stage at which arithmetic works on scalars and vectors.  The remainder of two floats is exact, so
that every right way gives the same bits; what NVPTX makes of it (``x - trunc(x / y) * y``) is no right way, and CPUs
call a library.  This is long division: with ``x = a * 2**(i + n)`` and ``y = b * 2**i`` for whole a, b, the remainder
is ``(a * 2**n mod b) * 2**i``, and the n bits go in as many at a time as fit 64 bits.

Refuses float16 and bfloat16, which kernels compute in float32.
"""

from dataclasses import dataclass
from typing import Any, ClassVar

from stepwell.passes.base import Pass, fail, register_pass
from stepwell.passes.transforms.arithmetic import Number, element_of
from stepwell.support.bindings import arith, ir, scf

# Bits of the fraction, without the leading one.
_FRACTION = {"f32": 23, "f64": 52}


@register_pass
@dataclass(frozen=True)
class ExpandRemaindersPass(Pass):
    """Expand every ``arith.remf`` to integer arithmetic."""

    name: ClassVar[str] = "expand-remainders"
    summary: ClassVar[str] = "expand remainders of floats to exact integer arithmetic"

    def apply(self, op: "ir.Operation") -> None:
        """Expand all remainders of the module."""
        found: list[Any] = []

        def visit(child: Any) -> Any:
            if child.name == "arith.remf":
                found.append(child)
            return ir.WalkResult.ADVANCE

        op.walk(visit)
        for remainder in found:
            if str(element_of(remainder.results[0].type)) not in _FRACTION:
                fail(remainder, "expects f32 or f64; kernels widen before they compute")
        for remainder in found:
            with remainder.location, ir.InsertionPoint(remainder):
                result = expand_remainder(*map(Number, remainder.operands))
            remainder.results[0].replace_all_uses_with(result.value)
            remainder.erase()


def expand_remainder(x: Number, y: Number) -> Number:
    """Write the remainder of ``x`` by ``y``, which has the sign of ``x``."""
    fraction = _FRACTION[str(x.element)]
    sign: int = 1 << (x.element.width - 1)
    infinity = sign - (1 << fraction)
    dividend, divisor = x.bits() & (sign - 1), y.bits() & (sign - 1)
    defined = (dividend < infinity) & (divisor > 0) & (divisor <= infinity)
    divides = defined & (dividend >= divisor)
    # Any numbers will do where nothing is to be divided, but none of zero.
    high, whole = _split(divides.select(dividend, 1), fraction)
    low, part = _split(divides.select(divisor, 1), fraction)
    rest = _divide(whole, part, _wide(high - low), 63 - fraction).cast(x.element)
    rest = rest * _power_of_two(low, fraction)
    return defined.select(divides.select(rest.copysign(x), x), float("nan"))


def _split(bits: Number, fraction: int) -> tuple[Number, Number]:
    """Return i and a, 64 bits wide, of a positive float ``a * 2**i``, where the smallest float has i = 1."""
    exponent = bits >> fraction
    normal = exponent > 0
    whole = (bits & ((1 << fraction) - 1)) | normal.select(exponent.constant(1 << fraction), 0)
    return normal.select(exponent, 1), _wide(whole)


def _wide(number: Number) -> Number:
    i64 = ir.IntegerType.get_signless(64)
    return number if number.element == i64 else number.widen_unsigned(i64)


def _power_of_two(exponent: Number, fraction: int) -> Number:
    """Return the float ``2**exponent``, counted as in ``_split``."""
    normal = (exponent - fraction) << fraction
    return (exponent > fraction).select(normal, exponent.constant(1) << (exponent - 1)).as_float()


def _divide(whole: Number, part: Number, zeros: Number, step: int) -> Number:
    """Return ``whole * 2**zeros mod part``; ``step`` zeros at a time do not overflow."""
    types = [whole.type, zeros.type]
    loop = scf.WhileOp(types, [whole.value, zeros.value])
    before = ir.Block.create_at_start(loop.regions[0], types)
    with ir.InsertionPoint(before):
        rest, left = map(Number, before.arguments)
        taken = (left < step).select(left, step)
        rest = Number(arith.remui((rest << taken).value, part.value))
        left = left - taken
        scf.condition((left > 0).any(), [rest.value, left.value])
    after = ir.Block.create_at_start(loop.regions[1], types)
    with ir.InsertionPoint(after):
        scf.yield_(list(after.arguments))
    return Number(loop.results[0])
