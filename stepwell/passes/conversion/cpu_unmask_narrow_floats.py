"""Let masked reads and writes of float16 and bfloat16 move 16-bit integers.

Takes and gives a kernel in LLVM's dialect.  LLVM takes masked vectors apart into elements where the machine has no
such instruction, and moves bfloat16 elements through float32, rounding by a call of compiler-rt, which no process of
ours contains.  Leaves masked accesses of other types alone.
"""

from dataclasses import dataclass
from typing import Any, ClassVar

from stepwell.passes.base import Pass, register_pass
from stepwell.support.bindings import ir

# Masked access -> the number of the operand that has the accessed vector's type.
_ACCESSES = {
    "llvm.intr.masked.load": 2,
    "llvm.intr.masked.store": 0,
    "llvm.intr.masked.gather": 2,
    "llvm.intr.masked.scatter": 0,
}


@register_pass
@dataclass(frozen=True)
class CpuUnmaskNarrowFloatsPass(Pass):
    """Bitcast vectors of 16-bit floats to integers around masked accesses."""

    name: ClassVar[str] = "cpu-unmask-narrow-floats"
    summary: ClassVar[str] = "move masked vectors of float16 and bfloat16 as integers"

    def apply(self, op: "ir.Operation") -> None:
        """Rewrite every such access of the module."""
        accesses: list[Any] = []

        def visit(child: Any) -> Any:
            if child.name in _ACCESSES and is_narrow(child.operands[_ACCESSES[child.name]].type):
                accesses.append(child)
            return ir.WalkResult.ADVANCE

        op.walk(visit)
        for access in accesses:
            move_as_integers(access)


def is_narrow(type_: Any) -> bool:
    """Tell whether a type is a vector of 16-bit floats."""
    return isinstance(type_, ir.VectorType) and isinstance(type_.element_type, ir.F16Type | ir.BF16Type)


def move_as_integers(access: Any) -> None:
    """Bitcast the vector that a masked access takes, and the one that it gives."""
    number = _ACCESSES[access.name]
    vector = access.operands[number].type
    integers = ir.VectorType.get(vector.shape, ir.IntegerType.get_signless(16))
    with access.location, ir.InsertionPoint(access):
        operands = list(access.operands)
        operands[number] = _bitcast(operands[number], integers)
        attributes = {name: access.attributes[name] for name in access.attributes}
        results = [integers for _ in access.results]
        made = ir.Operation.create(access.name, results=results, operands=operands, attributes=attributes)
        for old, new in zip(access.results, made.results, strict=True):
            old.replace_all_uses_with(_bitcast(new, vector))
    access.erase()


def _bitcast(value: Any, type_: Any) -> Any:
    return ir.Operation.create("llvm.bitcast", results=[type_], operands=[value]).results[0]
