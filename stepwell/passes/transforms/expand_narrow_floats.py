"""Spell out conversions from and to float16 and bfloat16 that the machine has no instruction for.

Takes and gives stage ``scheduled``.  LLVM would call compiler-rt for them, which no process of ours contains.  Between
float16 and float32 x86-64 converts by F16C, and GPUs know bfloat16 too (``bfloat16``); everything else goes through
float32:

* bfloat16 is the upper half of float32: widening shifts, narrowing rounds to nearest, ties to even, by an integer
  addition, and keeps NaN quiet.
* float64 narrows to float32 by rounding to odd first, so that rounding twice gives what rounding once would
  (Boldo and Melquiond, "Emulation of FMA and correctly rounded sums: proved algorithms using rounding to odd").
* integers convert to float32 first, as torch does.

Leaves conversions among other types alone.
"""

from dataclasses import dataclass
from typing import Any, ClassVar

from stepwell.passes.base import Pass, option, register_pass
from stepwell.passes.transforms.arithmetic import Number, element_of, reshaped
from stepwell.passes.transforms.elide_roundings import ROUNDING_MODE
from stepwell.support.bindings import arith, ir
from stepwell.support.stages import Stage

_NARROW = ("f16", "bf16")
_CONVERSIONS = frozenset(f"arith.{name}" for name in ("extf", "truncf", "sitofp", "uitofp", "fptosi", "fptoui"))


@register_pass
@dataclass(frozen=True)
class ExpandNarrowFloatsPass(Pass):
    """Expand conversions of float16 and bfloat16 that need a run-time library."""

    name: ClassVar[str] = "expand-narrow-floats"
    summary: ClassVar[str] = "spell out float16 and bfloat16 conversions without library calls"
    stage: ClassVar[Stage | None] = Stage.SCHEDULED

    bfloat16: bool = option(False, help="the machine converts between bfloat16 and float32")

    def apply(self, op: "ir.Operation") -> None:
        """Expand every such conversion of the module."""
        conversions: list[Any] = []
        native = _NARROW if self.bfloat16 else ("f16",)

        def visit(child: Any) -> Any:
            if child.name in _CONVERSIONS:
                if not _is_native(child, native):
                    conversions.append(child)
                elif ROUNDING_MODE in child.attributes:
                    # To nearest, as the instruction rounds anyway; LLVM would call for a strict one.
                    del child.attributes[ROUNDING_MODE]
            return ir.WalkResult.ADVANCE

        op.walk(visit)
        for conversion in conversions:
            with conversion.location, ir.InsertionPoint(conversion):
                result = expand_conversion(conversion, native)
            conversion.results[0].replace_all_uses_with(result.value)
            conversion.erase()


def _is_native(op: Any, native: tuple[str, ...]) -> bool:
    source, target = (str(element_of(value.type)) for value in (op.operands[0], op.results[0]))
    if source not in _NARROW and target not in _NARROW:
        return True
    return {source, target} in [{"f32", narrow} for narrow in native]


def expand_conversion(op: Any, native: tuple[str, ...] = ("f16",)) -> Number:
    """Write the expansion of one conversion before it; returns the result.

    ``native`` are the narrow floats that the machine converts from and to float32.
    """
    source, type_ = Number(op.operands[0]), op.results[0].type
    target = element_of(type_)
    f32 = ir.F32Type.get()
    if source.is_float:
        middle = _to_f32(source, native)
    else:
        convert = arith.sitofp if op.name == "arith.sitofp" else arith.uitofp
        middle = Number(convert(reshaped(type_, f32), source.value))
    if not isinstance(target, ir.FloatType):
        return Number((arith.fptosi if op.name == "arith.fptosi" else arith.fptoui)(type_, middle.value))
    if str(target) not in native and str(target) in _NARROW:
        return _round_to_bf16(middle)
    return middle.cast(target)


def _to_f32(source: Number, native: tuple[str, ...]) -> Number:
    name = str(source.element)
    if name == "bf16" and name not in native:
        i32 = ir.IntegerType.get_signless(32)
        return (source.bits().widen_unsigned(i32) << 16).as_float()
    if name == "f64":
        return _round_to_odd(source)
    return source.cast(ir.F32Type.get())


def _round_to_odd(source: Number) -> Number:
    """Narrow f64 to f32: exact values stay, others become the neighbour with an odd last bit."""
    nearest = source.cast(ir.F32Type.get())
    back = nearest.cast(source.element)
    away = back.abs() > source.abs()
    inexact = (back < source) | (back > source)
    bits = nearest.bits()
    towards_zero = away.select(bits - 1, bits)
    return inexact.select(towards_zero | 1, bits).as_float()


def _round_to_bf16(source: Number) -> Number:
    bits = source.bits()
    upper = bits >> 16
    rounded = (bits + (upper & 1) + 0x7FFF) >> 16
    # Rounding a NaN could carry it to infinity: keep its upper half and make it quiet.
    kept = source.is_nan().select(upper | 0x40, rounded)
    half = kept.cast(ir.IntegerType.get_signless(16))
    return Number(arith.bitcast(reshaped(source.type, ir.BF16Type.get()), half.value))
