"""Tell LLVM that the buffers of a kernel do not overlap.

Takes and gives stage ``scheduled``.  Kernel ABI v1 promises that outputs, workspace and status overlap neither each
other nor an input; inputs may overlap each other, which ``noalias`` allows, for nobody writes them.  Without it LLVM
guards or gives up loops that load from one buffer and store to another.
"""

from dataclasses import dataclass
from typing import ClassVar

from stepwell.passes.base import Pass, register_pass
from stepwell.support.bindings import ir
from stepwell.support.stages import Stage

NOALIAS = "llvm.noalias"


@register_pass
@dataclass(frozen=True)
class MarkNoaliasPass(Pass):
    """Put ``llvm.noalias`` on every pointer argument of every function with a body."""

    name: ClassVar[str] = "mark-noalias"
    summary: ClassVar[str] = "promise that the buffers of kernel functions do not overlap"
    stage: ClassVar[Stage | None] = Stage.SCHEDULED

    def apply(self, op: "ir.Operation") -> None:
        """Mark the rank-0 memref arguments of all functions."""
        for child in op.regions[0].blocks[0].operations:
            function = child.operation
            if function.name != "func.func" or not list(function.regions[0].blocks):
                continue
            arguments = function.regions[0].blocks[0].arguments
            old = function.attributes["arg_attrs"] if "arg_attrs" in function.attributes else [{}] * len(arguments)
            marked = []
            for argument, attributes in zip(arguments, old, strict=True):
                kept = {named.name: named.attr for named in attributes} if attributes else {}
                if isinstance(argument.type, ir.MemRefType) and argument.type.rank == 0:
                    kept[NOALIAS] = ir.UnitAttr.get(op.context)
                marked.append(ir.DictAttr.get(kept, op.context))
            if any(len(attributes) for attributes in marked):
                function.attributes["arg_attrs"] = ir.ArrayAttr.get(marked, op.context)
