"""Keep math that PTX has instructions for out of the reach of ``convert-gpu-to-nvvm``.

Takes and gives GPU modules after ``convert-math-to-llvm``.  ``convert-gpu-to-nvvm`` wants calls of libdevice for square
roots, roundings and absolute values, and takes LLVM's intrinsics for illegal; libdevice is no part of ours, and the
intrinsics become single, correctly rounded instructions.  As ``llvm.call_intrinsic`` they pass.

Leaves all other ops alone.
"""

from dataclasses import dataclass
from typing import Any, ClassVar

from stepwell.passes.base import Pass, register_pass
from stepwell.support.bindings import ir

_INTRINSICS = frozenset(
    f"llvm.intr.{name}" for name in ("sqrt", "fabs", "floor", "ceil", "trunc", "round", "roundeven", "rint", "copysign")
)


@register_pass
@dataclass(frozen=True)
class GpuKeepIntrinsicsPass(Pass):
    """Spell intrinsics with an instruction of their own as ``llvm.call_intrinsic``.

    Before: ``llvm.intr.sqrt(%x)``.  After: ``llvm.call_intrinsic "llvm.sqrt"(%x)``.
    """

    name: ClassVar[str] = "gpu-keep-intrinsics"
    summary: ClassVar[str] = "keep math intrinsics that PTX has instructions for from becoming library calls"

    def apply(self, op: "ir.Operation") -> None:
        """Respell every such intrinsic of the module."""
        found: list[Any] = []

        def visit(child: Any) -> Any:
            if child.name in _INTRINSICS:
                found.append(child)
            return ir.WalkResult.ADVANCE

        op.walk(visit)
        for intrinsic in found:
            respell(intrinsic)


def respell(intrinsic: Any) -> None:
    """Replace one intrinsic op by a call of the intrinsic."""
    operands = list(intrinsic.operands)
    with intrinsic.location, ir.InsertionPoint(intrinsic):
        attributes = {
            "intrin": ir.StringAttr.get(intrinsic.name.replace("llvm.intr.", "llvm.")),
            "op_bundle_sizes": ir.DenseI32ArrayAttr.get([]),
            "operandSegmentSizes": ir.DenseI32ArrayAttr.get([len(operands), 0]),
        }
        if "fastmathFlags" in intrinsic.attributes:
            attributes["fastmathFlags"] = intrinsic.attributes["fastmathFlags"]
        types = [result.type for result in intrinsic.results]
        made = ir.Operation.create("llvm.call_intrinsic", results=types, operands=operands, attributes=attributes)
    intrinsic.results[0].replace_all_uses_with(made.results[0])
    intrinsic.erase()
