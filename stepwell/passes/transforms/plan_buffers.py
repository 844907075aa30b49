"""Give every tensor of the host's program a place in memory.

Takes and gives stage ``kernels``.  Each launch gets ``placements``, one per output; each function gets
``stepwell.arena``, the bytes of the block that all intermediates share::

    placements = [{offset = "4096", space = "arena"}, {index = 0 : i64, space = "result"}]

A tensor whose size the host reads on the way lives in an arena that this read opens, of its actual size: the read gets
``arena``, its bytes, and a placement there the read's number, counted from 1, as ``index``.

A step that runs other functions gets ``scratch`` too: the places of the arena of those functions, and for a loop of its
predicate and of a second copy of what it carries, from which and to which rounds take turns.

A tensor that is returned is written where the caller wants it, unless it is returned twice or only in part: then it is
copied at the end.  Views have the place of what they view.  Run again, it plans anew.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from stepwell.passes.base import Pass, fail, option, register_pass
from stepwell.passes.transforms.kernel_interface import is_program
from stepwell.passes.transforms.outlining.calls import steps
from stepwell.passes.transforms.planning.lifetimes import Buffer, lifetimes_of
from stepwell.passes.transforms.planning.packing import ALIGNMENT, pack
from stepwell.support.bindings import ir
from stepwell.support.stages import Stage
from stepwell.support.symbolic import Expr

ARENA = "stepwell.arena"
READ_ARENA = "arena"
PLACEMENTS = "placements"
SCRATCH = "scratch"


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
        """Plan every function of the host, after those that it runs."""
        if not is_program(op):
            return
        children = [child.operation for child in op.regions[0].blocks[0].operations]
        waiting = {child.attributes["sym_name"].value: child for child in children if child.name == "func.func"}
        planned: dict[str, Expr] = {}

        def plan(name: str, caller: Any) -> None:
            if name in planned:
                return
            if name not in waiting:
                fail(caller, f"runs function '{name}', which the module does not have, or which runs it in turn")
            function = waiting.pop(name)
            for step in steps(function):
                for called in step.functions:
                    plan(called, step.operation)
            planned[name] = plan_function(function, self.alignment, planned)

        for name in list(waiting):
            if name in waiting:
                plan(name, op)


def plan_function(function: Any, alignment: int, arenas_of: Mapping[str, Expr]) -> Expr:
    """Place the outputs of the launches of one function; return the size of its arena.

    Args:
        function: of plan ops.
        alignment: bytes that places are multiples of.
        arenas_of: sizes of the arenas of the functions that it runs.
    """
    found = lifetimes_of(function, arenas_of)
    places: dict[Any, Expr] = {}
    scratch_places: dict[tuple[int, int], Expr] = {}
    totals: list[Expr] = []
    scratch = {(number, at): one for number, listed in found.scratch.items() for at, one in enumerate(listed)}
    for arena in range(len(found.reads) + 1):
        packed = [b for b in found.buffers.values() if b.result is None and b.arena == arena]
        spare = {key: one for key, one in scratch.items() if one.arena == arena}
        tenants = [*(buffer.tenant for buffer in packed), *(one.tenant for one in spare.values())]
        offsets, total = pack(tenants, alignment)
        places.update(zip((buffer.value for buffer in packed), offsets, strict=False))
        scratch_places.update(zip(spare, offsets[len(packed) :], strict=True))
        totals.append(total)
    with function.context:
        for number, launch in enumerate(found.launches):
            launch.operation.attributes[PLACEMENTS] = ir.ArrayAttr.get(
                [_placement(found.buffers[value], places.get(value)) for value in launch.outputs]
            )
            if number in found.scratch:
                launch.operation.attributes[SCRATCH] = ir.ArrayAttr.get(
                    [
                        _arena_place(scratch_places[number, at], one.arena)
                        for at, one in enumerate(found.scratch[number])
                    ]
                )
        function.attributes[ARENA] = ir.StringAttr.get(str(totals[0]))
        for read, total in zip(found.reads, totals[1:], strict=True):
            read.operation.attributes[READ_ARENA] = ir.StringAttr.get(str(total))
    return totals[0]


def _placement(buffer: Buffer, offset: Expr | None) -> Any:
    i64 = ir.IntegerType.get_signless(64)
    if buffer.result is not None:
        return ir.DictAttr.get({"space": ir.StringAttr.get("result"), "index": ir.IntegerAttr.get(i64, buffer.result)})
    assert offset is not None
    return _arena_place(offset, buffer.arena)


def _arena_place(offset: Expr, arena: int) -> Any:
    place = {"space": ir.StringAttr.get("arena"), "offset": ir.StringAttr.get(str(offset))}
    if arena:
        place["index"] = ir.IntegerAttr.get(ir.IntegerType.get_signless(64), arena)
    return ir.DictAttr.get(place)
