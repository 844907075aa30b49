"""Give every tensor of the host's program a place in memory.

Takes and gives stage ``kernels``.  Each launch gets ``placements``, one per output; each function gets
``stepwell.arena``, the bytes of the block that all intermediates share::

    placements = [{offset = "4096", space = "arena"}, {index = 0 : i64, space = "result"}]

A tensor that is returned is written where the caller wants it, unless it is returned twice or only in part: then it is
copied at the end.  Views have the place of what they view.  Run again, it plans anew.
"""

from dataclasses import dataclass
from typing import Any, ClassVar

from stepwell.passes.base import Pass, option, register_pass
from stepwell.passes.transforms.kernel_interface import HOST_FUNCTIONS
from stepwell.passes.transforms.planning.lifetimes import Buffer, lifetimes_of
from stepwell.passes.transforms.planning.packing import ALIGNMENT, pack
from stepwell.support.bindings import ir
from stepwell.support.stages import Stage
from stepwell.support.symbolic import Expr

ARENA = "stepwell.arena"
PLACEMENTS = "placements"


@register_pass
@dataclass(frozen=True)
class PlanBuffersPass(Pass):
    """Place the outputs of all launches."""

    name: ClassVar[str] = "plan-buffers"
    summary: ClassVar[str] = "give every tensor of the host's program a place in memory"
    stage: ClassVar[Stage | None] = Stage.KERNELS
    gives: ClassVar[Stage | None] = Stage.KERNELS

    alignment: int = option(ALIGNMENT, help="bytes that places in the arena are multiples of")

    def apply(self, op: "ir.Operation") -> None:
        """Plan every function of the host."""
        for child in op.regions[0].blocks[0].operations:
            operation = child.operation
            if operation.name == "func.func" and operation.attributes["sym_name"].value in HOST_FUNCTIONS:
                plan_function(operation, self.alignment)


def plan_function(function: Any, alignment: int = ALIGNMENT) -> None:
    """Place the outputs of the launches of one function."""
    found = lifetimes_of(function)
    packed = [buffer for buffer in found.buffers.values() if buffer.result is None]
    offsets, total = pack([buffer.tenant for buffer in packed], alignment)
    places = dict(zip((buffer.value for buffer in packed), offsets, strict=True))
    with function.context:
        for launch in found.launches:
            launch.operation.attributes[PLACEMENTS] = ir.ArrayAttr.get(
                [_placement(found.buffers[value], places.get(value)) for value in launch.outputs]
            )
        function.attributes[ARENA] = ir.StringAttr.get(str(total))


def _placement(buffer: Buffer, offset: Expr | None) -> Any:
    if buffer.result is not None:
        number = ir.IntegerAttr.get(ir.IntegerType.get_signless(64), buffer.result)
        return ir.DictAttr.get({"space": ir.StringAttr.get("result"), "index": number})
    return ir.DictAttr.get({"space": ir.StringAttr.get("arena"), "offset": ir.StringAttr.get(str(offset))})
