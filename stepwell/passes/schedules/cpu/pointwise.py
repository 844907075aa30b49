"""Kernels without reductions: every element of every result on its own, in loops merged as far as memory allows."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from stepwell.passes.schedules.abi import OpenKernel
from stepwell.passes.schedules.cpu.machine import GRAIN_WORK, lanes_for
from stepwell.passes.schedules.elements import Elements
from stepwell.passes.schedules.indexing import ONE, ZERO, coefficient, product
from stepwell.passes.schedules.kernel import Kernel, Refusal, is_reduction, reachable
from stepwell.passes.schedules.loops import LaneLoop, delinearise, effect, write_loops
from stepwell.passes.schedules.nest import Nest, best_lane, known_extent
from stepwell.passes.schedules.result_nests import ResultNest, result_nests
from stepwell.passes.schedules.rule import Rule
from stepwell.support.symbolic import Expr
from stepwell.support.target import Target

# A lane loop longer than this is cut, so that threads can share it.
BLOCK = 1 << 14
# Neighbours along the lanes this far apart, in elements, lie in cache lines of their own.
FAR = 16


@dataclass(frozen=True)
class Group:
    """Results that one loop nest computes together.

    Attributes:
        results: the results, with their loops.
        nest: their loops.
        lane: which loop the lanes run along, or None for scalar code.
        lanes: elements per vector.
        unroll: vectors per iteration.
        block: elements of the lane loop per parallel iteration, or 0 for all.
        across: the loop to walk along within a block, where a buffer's lines lie across the lanes; or None.
        grain: parallel iterations worth a thread; 0 for a serial nest.
    """

    results: ResultNest
    nest: Nest
    lane: int | None
    lanes: int
    unroll: int
    block: int
    across: int | None
    grain: int


@dataclass(frozen=True)
class PointwiseParameters:
    """The groups of results of a kernel, and why they are built as they are."""

    groups: tuple[Group, ...]
    reasons: tuple[str, ...]


class PointwiseRule(Rule):
    """Takes kernels without reductions and loop forms."""

    name: ClassVar[str] = "pointwise"

    def parameters(self, kernel: Kernel, target: Target) -> PointwiseParameters:
        """Group results by shape and choose lanes, blocks and grain for each group."""
        ops = kernel.ops
        if any(is_reduction(op) for op in ops):
            raise Refusal("the kernel holds a reduction")
        groups = choose_groups(kernel, target, list(range(len(kernel.results))))
        return PointwiseParameters(groups, tuple(reason for group in groups for reason in describe(group)))

    def build(self, kernel: Kernel, target: Target, parameters: PointwiseParameters) -> None:
        """Write one nest per group."""
        opened = OpenKernel.begin(kernel)
        try:
            elements = Elements(opened)
            for group in parameters.groups:
                write_group(elements, group)
        except BaseException:
            opened.abandon()
            raise
        opened.close(self.name, parameters.reasons)


def choose_groups(kernel: Kernel, target: Target, numbers: Sequence[int]) -> tuple[Group, ...]:
    """Return the groups of the results ``numbers``, none of which depends on a reduction."""
    return tuple(_choose_group(kernel, target, results) for results in result_nests(kernel, numbers))


def _choose_group(kernel: Kernel, target: Target, results: ResultNest) -> Group:
    roots, nest = results.roots, results.nest
    lanes = lanes_for(kernel, target, reachable(value for _, value in roots))
    lane, _ = best_lane(nest, lanes)
    work = nest.uses.cost + len(nest.uses.accesses)
    # Cheap bodies are bound by loop overhead and latency; long ones fill the machine alone.
    unroll = 4 if work <= 6 else 2 if work <= 16 else 1
    lane_extent = nest.extents[lane] if lane is not None else ONE
    if known_extent(lane_extent) < 4 * lanes * unroll:
        unroll = 1
    static = all(extent.is_constant for extent in nest.extents)
    total = nest.points * work
    across = _loop_across(nest, lane)
    if across is not None:
        # A block is as wide as the lines that its lanes touch are long: what is fetched for one step serves the next.
        block = 2 * lanes
        unroll = 1
    else:
        block = BLOCK if not lane_extent.is_constant or lane_extent.constant > 2 * BLOCK else 0
    iteration = (block or known_extent(lane_extent)) * work
    grain = max(1, GRAIN_WORK // max(iteration, 1)) if not static or total > 2 * GRAIN_WORK else 0
    return Group(results, nest, lane, lanes, unroll, block, across, grain)


def _loop_across(nest: Nest, lane: int | None) -> int | None:
    """Return the loop along which a buffer is contiguous whose elements lie far apart along the lanes: a transposition.

    None where there is no such buffer, or the loop has few steps.
    """
    if lane is None:
        return None
    for _, position in nest.uses.accesses:
        apart = nest.uses.stride(position, nest.variables[lane])
        if (apart is None or abs(apart) >= FAR) and coefficient(position, nest.variables[lane]) is not None:
            for other, variable in enumerate(nest.variables):
                if nest.uses.stride(position, variable) == 1 and known_extent(nest.extents[other]) >= FAR:
                    return other
    return None


def describe(group: Group) -> tuple[str, ...]:
    """Return the reasons behind a group's parameters."""
    shape = "x".join(str(extent) for extent in group.nest.extents) or "scalar"
    lanes = (
        "scalar code"
        if group.lane is None
        else f"{group.lanes} lanes along loop {group.lane}, {group.unroll} at a time"
    )
    threads = f"{group.grain} iterations per thread at least" if group.grain else "too small to share among threads"
    return (f"results {[number for number, _ in group.results.roots]}: loops {shape}; {lanes}; {threads}",)


def write_group(elements: Elements, group: Group) -> None:
    """Write the loops of a group."""
    nest, code = group.nest, elements.code
    outer = [p for p in range(len(nest.variables)) if p not in (group.lane, group.across)]
    outer += [] if group.across is None else [group.across]
    outer_extents = [nest.extents[p] for p in outer]

    def at(indices: Sequence[Expr], lane: Expr | None) -> None:
        values = {nest.variables[p]: index for p, index in zip(outer, indices, strict=True)}
        if group.lane is not None and lane is not None:
            values[nest.variables[group.lane]] = lane
        place = nest.at(values)
        group.results.store(elements, place, group.results.read(elements, place))

    def lanes(indices: Sequence[Expr], low: Expr, count: Expr) -> None:
        if group.lane is None:
            at(indices, None)
            return

        def body(vectors: list[Expr], _: list[Any]) -> list[Any]:
            for vector in vectors:
                at(indices, low + vector)
            return []

        LaneLoop(count, group.lanes, group.unroll).write(code, body)

    lane_extent = ONE if group.lane is None else nest.extents[group.lane]
    if not group.grain:
        write_loops(code, outer_extents, effect(lambda indices: lanes(indices, ZERO, lane_extent)))
        return
    blocks = -((-lane_extent) // group.block) if group.block else ONE

    def chunk(position: Expr) -> None:
        if group.across is None:
            *indices, block = delinearise(code, position, [*outer_extents, blocks])
        else:
            block, *indices = delinearise(code, position, [blocks, *outer_extents])
        low = block * group.block
        count = lane_extent
        if group.block:
            count = Expr.min(lane_extent - low, group.block)
        lanes(indices, low, count)

    code.forall(product(outer_extents) * blocks, chunk, grain=group.grain)
