"""Keep operations that PTX has instructions for from being taken apart or becoming library calls.

Takes and gives kernels for a GPU at two points of their lowering:

* Before ``arith-expand``, which takes extrema of floats apart: ``arith.maximumf`` becomes ``llvm.intr.maximum``, and so
  with the other three.
* After ``convert-math-to-llvm``: ``convert-gpu-to-nvvm`` wants calls of libdevice for square roots, roundings, signs
  and absolute values, and takes LLVM's intrinsics for illegal.  Libdevice is no part of ours, and the intrinsics are
  single, correctly rounded instructions; as ``llvm.call_intrinsic`` they pass.

Leaves all other ops alone.
"""

from dataclasses import dataclass
from typing import Any, ClassVar

from stepwell.passes.base import Pass, register_pass
from stepwell.passes.transforms.widen_bools import operations
from stepwell.support.bindings import ir

_EXTREMA = {
    "arith.maximumf": "llvm.intr.maximum",
    "arith.minimumf": "llvm.intr.minimum",
    "arith.maxnumf": "llvm.intr.maxnum",
    "arith.minnumf": "llvm.intr.minnum",
}
_INTRINSICS = frozenset(
    f"llvm.intr.{name}" for name in ("sqrt", "fabs", "floor", "ceil", "trunc", "round", "roundeven", "rint", "copysign")
)


@register_pass
@dataclass(frozen=True)
class GpuKeepIntrinsicsPass(Pass):
    """Spell extrema as LLVM's intrinsics, and intrinsics with an instruction of their own as ``llvm.call_intrinsic``.

    Before: ``llvm.intr.sqrt(%x)``.  After: ``llvm.call_intrinsic "llvm.sqrt"(%x)``.
    """

    name: ClassVar[str] = "gpu-keep-intrinsics"
    summary: ClassVar[str] = "keep operations that PTX has instructions for from becoming library calls"

    def apply(self, op: "ir.Operation") -> None:
        """Respell every such operation of the module."""
        for extremum in operations(op, *_EXTREMA):
            replace(extremum, _EXTREMA[extremum.name], {})
        for intrinsic in operations(op, *_INTRINSICS):
            respell(intrinsic)


def replace(op: Any, name: str, attributes: dict[str, Any]) -> None:
    """Put an op called ``name``, with the same operands and types, in the place of ``op``."""
    with op.location, ir.InsertionPoint(op):
        types = [result.type for result in op.results]
        made = ir.Operation.create(name, results=types, operands=list(op.operands), attributes=attributes)
    op.results[0].replace_all_uses_with(made.results[0])
    op.erase()


def respell(intrinsic: Any) -> None:
    """Replace one intrinsic op by a call of the intrinsic."""
    with intrinsic.context:
        attributes = {
            "intrin": ir.StringAttr.get(intrinsic.name.replace("llvm.intr.", "llvm.")),
            "op_bundle_sizes": ir.DenseI32ArrayAttr.get([]),
            "operandSegmentSizes": ir.DenseI32ArrayAttr.get([len(intrinsic.operands), 0]),
        }
    if "fastmathFlags" in intrinsic.attributes:
        attributes["fastmathFlags"] = intrinsic.attributes["fastmathFlags"]
    replace(intrinsic, "llvm.call_intrinsic", attributes)
