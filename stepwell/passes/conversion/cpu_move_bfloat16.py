"""Let bfloat16 be moved as 16-bit integers.

Takes and gives a kernel in LLVM's dialect, in which bfloat16 is only moved: arithmetic is float32's, and conversions
are integer code.  A bfloat16 that LLVM keeps between blocks it holds as a float32 where the machine has no registers
for it, and narrows it by a call of compiler-rt, which no process of ours contains.  An integer stays one.

Leaves a kernel alone that does more with bfloat16 than to move it, or holds constant vectors of different ones.
"""

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from stepwell.passes.base import Pass, register_pass
from stepwell.support.bindings import ir

_PLAIN = "load store bitcast select br cond_br switch insertelement extractelement shufflevector"
_CONSTANTS = "mlir.constant mlir.undef mlir.poison mlir.zero"
_VECTORS = "vector.insert vector.extract masked.load masked.store masked.gather masked.scatter"
_MOVES = frozenset(
    [
        *(f"llvm.{name}" for name in f"{_PLAIN} {_CONSTANTS}".split()),
        *(f"llvm.intr.{name}" for name in _VECTORS.split()),
    ]
)


@register_pass
@dataclass(frozen=True)
class CpuMoveBfloat16Pass(Pass):
    """Give bfloat16 values the type of 16-bit integers."""

    name: ClassVar[str] = "cpu-move-bfloat16"
    summary: ClassVar[str] = "move bfloat16 as integers"

    def apply(self, op: "ir.Operation") -> None:
        """Change the types of the module's values, where all uses are moves."""
        if not _has_bfloat16(op):
            return
        found: list[Any] = []

        def visit(child: Any) -> Any:
            if any(_as_integers(value.type) is not None for value in (*child.operands, *_made(child))):
                found.append(child)
            return ir.WalkResult.ADVANCE

        op.walk(visit)
        if all(map(_moves, found)):
            for child in found:
                _retype(child)


def _has_bfloat16(root: Any) -> bool:
    """Return whether an op gives a bfloat16, without which there is none: functions take pointers and sizes."""
    found = False
    others: set[Any] = set()

    def visit(op: Any) -> Any:
        nonlocal found
        for result in op.results:
            kind = result.type
            # Few types stand behind many values.
            if kind not in others:
                found = _as_integers(kind) is not None
                if found:
                    return ir.WalkResult.INTERRUPT
                others.add(kind)
        return ir.WalkResult.ADVANCE

    root.walk(visit)
    return found


def _made(op: Any) -> list[Any]:
    """Return an op's results and what its blocks take."""
    return [*op.results, *(value for region in op.regions for block in region.blocks for value in block.arguments)]


def _moves(op: Any) -> bool:
    """Tell whether an op moves bfloat16, or is a function that takes none."""
    if op.name == "llvm.func":
        return all(_as_integers(value.type) is None for value in op.regions[0].blocks[0].arguments)
    if op.name == "llvm.mlir.constant":
        attribute = op.attributes["value"]
        # The bindings cannot read the elements of others.
        return isinstance(attribute, ir.FloatAttr) or ir.DenseElementsAttr(attribute).is_splat
    return op.name in _MOVES


def _as_integers(type_: Any) -> Any:
    """Return the integer type that takes the place of bfloat16 or a vector of them; None for other types."""
    if isinstance(type_, ir.BF16Type):
        return ir.IntegerType.get_signless(16, type_.context)
    if isinstance(type_, ir.VectorType) and isinstance(type_.element_type, ir.BF16Type):
        integer = ir.IntegerType.get_signless(16, type_.context)
        return ir.VectorType.get(type_.shape, integer, scalable=type_.scalable_dims or None)
    return None


def _retype(op: Any) -> None:
    for value in _made(op):
        type_ = _as_integers(value.type)
        if type_ is not None:
            value.set_type(type_)
            if op.name == "llvm.mlir.constant":
                op.attributes["value"] = _bits(op.attributes["value"], type_)
    if op.name == "llvm.bitcast" and op.operands[0].type == op.results[0].type:
        op.results[0].replace_all_uses_with(op.operands[0])
        op.erase()


def _bits(attribute: Any, type_: Any) -> Any:
    """Return a constant of bfloat16 as one of its bits."""
    if isinstance(attribute, ir.FloatAttr):
        return ir.IntegerAttr.get(type_, _bits_of(ir.FloatAttr(attribute).value))
    splat = ir.FloatAttr(ir.DenseElementsAttr(attribute).get_splat_value()).value
    return ir.DenseElementsAttr.get_splat(type_, ir.IntegerAttr.get(type_.element_type, _bits_of(splat)))


def _bits_of(value: float) -> int:
    """Return the bits of a number that is a bfloat16: the upper half of the float32."""
    return int(np.float32(value).view(np.int32) >> 16)
