"""Keep values in float32 between the ops of a kernel, where the program rounds them to a narrow float in between.

Takes and gives any stage.  ``extf(truncf(x))`` to the type of ``x`` becomes ``x``: a kernel of float16 or bfloat16
rounds where its results are stored, not after every op.  Leaves other widths alone, narrowings that do not widen, and
those with a rounding mode: the program itself asks for them, as ``x - x.half().float()`` does.
A pipeline that must match eager torch bit for bit omits this pass.
"""

from dataclasses import dataclass
from typing import Any, ClassVar

from stepwell.passes.base import Pass, register_pass
from stepwell.support.bindings import ir

# The attribute of a narrowing that the program asks for.
ROUNDING_MODE = "roundingmode"
_NARROW = ("f16", "bf16")


@register_pass
@dataclass(frozen=True)
class ElideRoundingsPass(Pass):
    """Fold a narrowing to float16 or bfloat16 and the widening behind it."""

    name: ClassVar[str] = "elide-roundings"
    summary: ClassVar[str] = "fold float32 -> float16/bfloat16 -> float32 to nothing"

    def apply(self, op: "ir.Operation") -> None:
        """Fold every such pair of the module."""
        widenings: list[Any] = []

        def visit(child: Any) -> Any:
            if child.name == "arith.extf" and _narrowing(child) is not None:
                widenings.append(child)
            return ir.WalkResult.ADVANCE

        op.walk(visit)
        for widening in widenings:
            narrowing = _narrowing(widening)
            widening.results[0].replace_all_uses_with(narrowing.operands[0])
            widening.erase()
            if not any(True for _ in narrowing.results[0].uses):
                narrowing.erase()


def _narrowing(widening: Any) -> Any:
    """Return the truncf that ``widening`` undoes, or None."""
    owner = widening.operands[0].owner
    if isinstance(owner, ir.Block) or owner.operation.name != "arith.truncf":
        return None
    narrowing = owner.operation
    if ROUNDING_MODE in narrowing.attributes:
        return None
    source = narrowing.operands[0].type
    same = source == widening.results[0].type
    return narrowing if same and _element(widening.operands[0].type) in _NARROW and _element(source) == "f32" else None


def _element(type_: Any) -> str:
    return str(type_.element_type if isinstance(type_, ir.ShapedType) else type_)
