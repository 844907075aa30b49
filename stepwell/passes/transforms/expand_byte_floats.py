"""Spell out what no machine of ours does with floats of 8 bits: conversions and constants of f8E4M3FN and f8E5M2.

Takes and gives stage ``scheduled``.  LLVM knows no such types: loads and stores become those of bytes by themselves.
Other floats and integers are converted by way of float32, as torch converts them, to the nearest value, ties to even:

* f8E5M2 is the upper byte of float16.  Beyond its largest value lies infinity.
* f8E4M3FN has no infinity: what is too large, and infinity, become its largest value.  Shifted into a float16, whose
  exponent is one bit longer, its bits are the value divided by 256, subnormal ones too.

Leaves everything of other types alone.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

from stepwell.passes.base import Pass, register_pass
from stepwell.passes.transforms.arithmetic import Number, constant, element_of, reshaped
from stepwell.support.bindings import arith, ir
from stepwell.support.dtypes import DType
from stepwell.support.stages import Stage

_CONVERSIONS = frozenset(f"arith.{name}" for name in ("extf", "truncf", "sitofp", "uitofp", "fptosi", "fptoui"))


@dataclass(frozen=True)
class ByteFormat:
    """A float of 8 bits.

    Attributes:
        mantissa: bits of the mantissa.
        bias: what is added to the exponent.
        overflow: bits of what is too large.
        limit: the least float32 (as bits) that is too large, once rounded.
    """

    mantissa: int
    bias: int
    overflow: int
    limit: int


_FORMATS = {
    # From halfway between 448 and 480 on; 464 itself rounds to the even 448.
    "f8E4M3FN": ByteFormat(3, 7, 0x7E, 0x43E80001),
    # From halfway between 57344 and 65536 on, which rounds to the even 65536.
    "f8E5M2": ByteFormat(2, 15, 0x7C, 0x47700000),
}
_NAN = 0x7F
_INFINITY = 0x7F800000


@register_pass
@dataclass(frozen=True)
class ExpandByteFloatsPass(Pass):
    """Expand conversions and constants of 8-bit floats into integer code."""

    name: ClassVar[str] = "expand-byte-floats"
    summary: ClassVar[str] = "spell out conversions and constants of 8-bit floats"
    stage: ClassVar[Stage | None] = Stage.SCHEDULED

    def apply(self, op: "ir.Operation") -> None:
        """Expand every such op of the module."""
        found: list[tuple[Any, Callable[[Any], Any]]] = []

        def visit(child: Any) -> Any:
            if (
                child.name in _CONVERSIONS
                and {_element(child.operands[0]), _element(child.results[0])} & _FORMATS.keys()
            ):
                found.append((child, expand_conversion))
            elif _is_constant(child):
                found.append((child, _constant_of_bits))
            return ir.WalkResult.ADVANCE

        op.walk(visit)
        for child, expand in found:
            with child.location, ir.InsertionPoint(child):
                result = expand(child)
            child.results[0].replace_all_uses_with(result)
            child.erase()


def _element(value: Any) -> str:
    return str(element_of(value.type))


def _is_constant(op: Any) -> bool:
    """Return whether an op is a constant of one number; no kernel holds others of such types."""
    if op.name != "arith.constant" or _element(op.results[0]) not in _FORMATS:
        return False
    attribute = op.attributes["value"]
    return isinstance(attribute, ir.FloatAttr) or ir.DenseElementsAttr(attribute).is_splat


def expand_conversion(op: Any) -> Any:
    """Write the expansion of one conversion before it; returns the result."""
    type_ = op.results[0].type
    source, target = _element(op.operands[0]), str(element_of(type_))
    f32 = ir.F32Type.get()
    if source in _FORMATS:
        wide = _to_float32(Number(op.operands[0]), source)
    elif op.name in ("arith.sitofp", "arith.uitofp"):
        convert = arith.sitofp if op.name == "arith.sitofp" else arith.uitofp
        wide = Number(convert(reshaped(type_, f32), op.operands[0]))
    else:
        wide = Number(op.operands[0]).cast(f32)
    if target in _FORMATS:
        return arith.bitcast(type_, _to_byte(wide, _FORMATS[target]).value)
    if op.name == "arith.fptoui":
        return arith.fptoui(type_, wide.value)
    return wide.cast(element_of(type_)).value


def _to_float32(source: Number, name: str) -> Number:
    i16 = ir.IntegerType.get_signless(16)
    bits = Number(arith.bitcast(reshaped(source.type, ir.IntegerType.get_signless(8)), source.value)).widen_unsigned(
        i16
    )
    f32 = ir.F32Type.get()
    if name == "f8E5M2":
        return (bits << 8).as_float().cast(f32)
    size = bits & 0x7F
    value = (((bits & 0x80) << 8) | (size << 7)).as_float().cast(f32) * 256.0
    return size.equals(_NAN).select(float("nan"), value)


def _to_byte(source: Number, form: ByteFormat) -> Number:
    """Round a float32 to the bits of an 8-bit float."""
    bits = source.bits()
    size = bits & 0x7FFFFFFF
    dropped = 23 - form.mantissa
    # Halves go to the even neighbour: an odd last bit tips them over.
    rounded = (size + ((size >> dropped) & 1) + ((1 << (dropped - 1)) - 1)) >> dropped
    normal = rounded - ((127 - form.bias) << form.mantissa)
    # Below the normal numbers all values have one distance: a sum whose last bit is that distance rounds for us.
    exponent = dropped + 1 - form.bias
    subnormal = (size.as_float() + 2.0**exponent).bits() - ((127 + exponent) << 23)
    magnitude = (size < ((128 - form.bias) << 23)).select(subnormal, normal)
    magnitude = (size < form.limit).select(magnitude, form.overflow)
    magnitude = (size > _INFINITY).select(_NAN, magnitude)
    sign = (bits >> 24) & 0x80
    return (magnitude | sign).cast(ir.IntegerType.get_signless(8))


def _constant_of_bits(op: Any) -> Any:
    """Return a scalar or splat constant of bytes, as one of 8-bit floats."""
    type_ = op.results[0].type
    attribute = op.attributes["value"]
    scalar = attribute if isinstance(attribute, ir.FloatAttr) else attribute.get_splat_value()
    number = DType.from_mlir(_element(op.results[0])).numpy.type(ir.FloatAttr(scalar).value)
    bits = constant(reshaped(type_, ir.IntegerType.get_signless(8)), int(number.view("u1")))
    return arith.bitcast(type_, bits.value)
