"""Turn copies of buffers into linalg ops, which become loops.

Takes and gives any stage on memrefs.  A ``memref.copy`` of a strided buffer would become a call into MLIR's run-time
library, which kernels do not have.  A copy of a buffer to itself goes.
"""

from dataclasses import dataclass
from typing import ClassVar

from stepwell.passes.base import Pass, register_pass
from stepwell.passes.transforms.widen_bools import operations
from stepwell.support.bindings import ir, linalg


@register_pass
@dataclass(frozen=True)
class ExpandCopiesPass(Pass):
    """Make every ``memref.copy`` a ``linalg.copy``."""

    name: ClassVar[str] = "expand-copies"
    summary: ClassVar[str] = "turn memref.copy into linalg.copy"

    def apply(self, op: "ir.Operation") -> None:
        """Expand all copies of the module."""
        for copy in operations(op, "memref.copy"):
            source, target = copy.operands
            if source != target:
                with copy.location, ir.InsertionPoint(copy):
                    linalg.copy(source, outs=[target])
            copy.erase()
