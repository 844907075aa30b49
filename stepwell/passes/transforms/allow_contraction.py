"""Allow LLVM to fuse a multiplication and the addition of its result into one rounding.

Takes and gives any stage.  Sets ``fastmath<contract>`` on floating-point add, sub, mul and neg of the program.  It runs
before math is expanded: the expansions say where they fuse, and count on what they do not fuse.

A product of which only a narrower rounding is used stays apart.  No sum takes it as it is; but LLVM makes
``truncf(mulf(extf, extf))`` one narrow product, flags and all, and a machine with narrow arithmetic would then fuse it
with the sum that takes it, without the rounding that the program asks for.
"""

from dataclasses import dataclass
from typing import Any, ClassVar

from stepwell.passes.base import Pass, register_pass
from stepwell.support.bindings import ir

_OPS = frozenset({"arith.addf", "arith.subf", "arith.mulf", "arith.negf"})
_NONE = "#arith.fastmath<none>"


@register_pass
@dataclass(frozen=True)
class AllowContractionPass(Pass):
    """Set the contract flag where no fast-math flag is set."""

    name: ClassVar[str] = "allow-contraction"
    summary: ClassVar[str] = "let products and sums of the program fuse into one rounding"

    def apply(self, op: "ir.Operation") -> None:
        """Mark every op of the module that has no flags of its own."""
        contract = ir.Attribute.parse("#arith.fastmath<contract>", op.context)

        def visit(child: Any) -> Any:
            if child.name in _OPS and not _is_rounded_product(child):
                attributes = child.attributes
                if "fastmath" not in attributes or str(attributes["fastmath"]) == _NONE:
                    attributes["fastmath"] = contract
            return ir.WalkResult.ADVANCE

        op.walk(visit)


def _is_rounded_product(op: "ir.Operation") -> bool:
    if op.name != "arith.mulf":
        return False
    users = [use.owner.operation.name for use in op.results[0].uses]
    return bool(users) and all(name == "arith.truncf" for name in users)
