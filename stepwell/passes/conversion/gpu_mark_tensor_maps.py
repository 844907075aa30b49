"""Give the tensor map arguments of entries the form that the tensor memory accelerator reads: 128 bytes, by value.

Takes and gives GPU modules in the llvm dialect.  ``gpu-outline-launches`` noted in ``stepwell.grids`` how many of an
entry's last arguments are tensor maps; each becomes a ``grid_constant`` parameter at a multiple of 64 bytes, which is
read where it lies.  Without the mark LLVM would copy it to local memory, where the accelerator cannot read it.

Leaves entries without tensor maps alone; refuses one whose arguments are fewer.
"""

from dataclasses import dataclass
from typing import Any, ClassVar

from stepwell.passes.base import Pass, fail, register_pass
from stepwell.passes.conversion.gpu_launches import GRIDS
from stepwell.support.bindings import ir

_BYVAL = "!llvm.array<16 x i64>"


@register_pass
@dataclass(frozen=True)
class GpuMarkTensorMapsPass(Pass):
    """Mark tensor maps as constant parameters passed by value."""

    name: ClassVar[str] = "gpu-mark-tensor-maps"
    summary: ClassVar[str] = "pass the tensor maps of entries as constant parameters by value"

    def apply(self, op: "ir.Operation") -> None:
        """Mark the arguments of every entry that takes tensor maps."""
        for child in op.regions[0].blocks[0].operations:
            module = child.operation
            if module.name == "gpu.module" and GRIDS in module.attributes:
                mark_module(module)


def mark_module(module: Any) -> None:
    """Mark the arguments of the entries of one GPU module."""
    counts = {grid["entry"].value: len(grid["tensor_maps"]) for grid in module.attributes[GRIDS]}
    entries = {
        op.operation.attributes["sym_name"].value: op.operation
        for op in module.regions[0].blocks[0].operations
        if op.operation.name == "llvm.func"
    }
    work = [(entries[name], count) for name, count in counts.items() if name in entries and count]
    for entry, count in work:
        if len(entry.regions[0].blocks[0].arguments) < count:
            fail(entry, f"expects {count} tensor maps behind its arguments")
    for entry, count in work:
        _mark(entry, count)


def _mark(entry: Any, count: int) -> None:
    total = len(entry.regions[0].blocks[0].arguments)
    with entry.context:
        mark = {
            "llvm.byval": ir.TypeAttr.get(ir.Type.parse(_BYVAL)),
            "llvm.align": ir.IntegerAttr.get(ir.IntegerType.get_signless(64), 64),
            "nvvm.grid_constant": ir.UnitAttr.get(),
        }
        old = list(entry.attributes["arg_attrs"]) if "arg_attrs" in entry.attributes else [ir.DictAttr.get({})] * total
        entry.attributes["arg_attrs"] = ir.ArrayAttr.get([*old[: total - count], *[ir.DictAttr.get(mark)] * count])
