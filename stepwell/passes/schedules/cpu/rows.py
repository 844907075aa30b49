"""Kernels with reductions over a common space of rows: softmax, normalisations, pooling, depthwise convolution, sums.

A row is a point of the space that all reductions of the kernel share as their parallel loops.  For each row the
reductions run one after another, their results stay in registers, and then the results that need them are written.
Lanes run either within the row, where each loop nest has its best one, or across rows.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, ClassVar

from stepwell.passes.schedules.abi import OpenKernel
from stepwell.passes.schedules.analysis import EXPENSIVE, own_cost, result_indices
from stepwell.passes.schedules.cpu.machine import GRAIN_WORK, lanes_for
from stepwell.passes.schedules.cpu.pointwise import choose_groups, describe, write_group
from stepwell.passes.schedules.cpu.rows_code import Keep, RowParameters, RowWriter
from stepwell.passes.schedules.elements import Elements
from stepwell.passes.schedules.indexing import ONE, Ranges
from stepwell.passes.schedules.kernel import Kernel
from stepwell.passes.schedules.nest import Nest, best_lane, filled, known_extent
from stepwell.passes.schedules.row_space import RowSpace
from stepwell.passes.schedules.rule import Rule
from stepwell.support.target import Target

# Accumulators per loop that hide the latency of the combining op: 4 cycles, 2 per cycle, halved for their registers.
ACCUMULATORS = 4
# Cost of joining the lanes of an accumulator at the end of a row.
JOIN_COST = 12.0


class RowsRule(Rule):
    """Takes kernels whose reductions share one row space."""

    name: ClassVar[str] = "rows"

    def parameters(self, kernel: Kernel, target: Target) -> RowParameters:
        """Find the row space, then choose lanes, accumulators, kept rows and grain."""
        space = RowSpace(kernel)
        nests = [nest.merged() for nest in space.nests]
        lanes = lanes_for(kernel, target, kernel.ops)
        within = [best_lane(_scalar_if_unjoinable(nest), lanes) for nest in nests]
        lane_of = tuple(lane for lane, _ in within)
        costs: dict[int | None, float] = {
            None: sum(cost * nest.points for nest, (_, cost) in zip(nests, within, strict=True))
        }
        costs[None] += sum(JOIN_COST for nest, lane in zip(nests, lane_of, strict=True) if nest.op and lane is not None)
        for number, extent in enumerate(space.extents):
            if extent != ONE:
                name = space.variables[number]
                cost = sum(nest.cost(name, lanes) * nest.points for nest in nests)
                costs[number] = cost / filled(extent, lanes)
        across = min(costs, key=lambda key: (costs[key], key is not None))
        points = sum(nest.points * (nest.uses.cost + len(nest.uses.accesses)) for nest in nests)
        work = points * (lanes if across is not None else 1)
        rows = 1
        for extent in space.extents:
            rows *= known_extent(extent)
        static = all(extent.is_constant for extent in space.extents)
        grain = max(1, GRAIN_WORK // max(work, 1)) if rows > 1 and (not static or rows * points > 2 * GRAIN_WORK) else 0
        unroll = tuple(_accumulators(nest, lane, lanes) for nest, lane in zip(nests, lane_of, strict=True))
        if across is not None:
            vectors = known_extent(space.extents[across]) // lanes
            unroll = (4 if vectors >= 4 else 2 if vectors >= 2 else 1,)
        keeps = {} if across is not None else _choose_keeps(kernel, space.ranges, nests, lane_of)
        groups = choose_groups(kernel, target, space.free)
        reasons = _describe(space, nests, lanes, across, lane_of, grain)
        reasons += tuple(reason for group in groups for reason in describe(group))
        return RowParameters(
            tuple(space.variables),
            tuple(space.extents),
            tuple(nests),
            lanes,
            across,
            lane_of,
            unroll,
            keeps,
            grain,
            groups,
            reasons,
        )

    def build(self, kernel: Kernel, target: Target, parameters: RowParameters) -> None:
        """Write the loop over rows, then the results that need none."""
        opened = OpenKernel.begin(kernel)
        try:
            elements = Elements(opened)
            RowWriter(elements, parameters).write()
            for group in parameters.groups:
                write_group(elements, group)
        except BaseException:
            opened.abandon()
            raise
        opened.close(self.name, parameters.reasons)


def _scalar_if_unjoinable(nest: Nest) -> Nest:
    return replace(nest, variables=(), extents=()) if nest.op is not None and nest.joins is None else nest


def _accumulators(nest: Nest, lane: int | None, lanes: int) -> int:
    if lane is None:
        return 1
    vectors = known_extent(nest.extents[lane]) // lanes
    wanted = ACCUMULATORS if nest.uses.cost <= 8 else 2
    while wanted > max(vectors, 1):
        wanted //= 2
    return wanted


def _choose_keeps(
    kernel: Kernel, ranges: Ranges, nests: Sequence[Nest], lane_of: Sequence[int | None]
) -> dict[int, tuple[Keep, ...]]:
    """Choose expensive rows that are computed in one nest and read again in a later one."""
    keeps: dict[int, tuple[Keep, ...]] = {}
    taken: set[int] = set()
    for number, nest in enumerate(nests):
        for value, tuples in nest.uses.computed.items():
            if own_cost(value.owner) < EXPENSIVE or len(tuples) != 1 or nest.joins is None or lane_of[number] is None:
                continue
            later = [other for other in nests[number + 1 :] if value in other.uses.computed]
            if not later or any(value == keep.value for kept in keeps.values() for keep in kept):
                continue
            home = _result_that_can_hold(kernel, value, later, taken)
            if home is None:
                continue
            (dims,) = tuples
            indices = result_indices(value.owner, dims)
            if not ranges.cover(indices, kernel.shape(value)):
                continue
            taken.add(home)
            keeps[number] = (*keeps.get(number, ()), Keep(value, home, indices))
    return keeps


def _result_that_can_hold(kernel: Kernel, value: Any, later: Sequence[Nest], taken: set[int]) -> int | None:
    """Return a result of the same type, read and written element by element, whose memory can hold ``value``."""
    last = later[-1]
    if len(later) != 1 or last.number < 0 or last.number in taken or last.value.type != value.type:
        return None
    if kernel.shape(last.value) != kernel.shape(value) or len(value.owner.results) != 1:
        return None
    places = [result_indices(value.owner, dims) for dims in last.uses.computed[value]]
    return last.number if places == [last.indices] else None


def _describe(
    space: RowSpace,
    nests: Sequence[Nest],
    lanes: int,
    across: int | None,
    lane_of: Sequence[int | None],
    grain: int,
) -> tuple[str, ...]:
    rows = "x".join(map(str, space.extents)) or "1"
    if across is not None:
        where = f"{lanes} lanes across rows, along loop {across}: it is contiguous in memory"
    else:
        where = f"{lanes} lanes within rows, along loops {list(lane_of)} of {len(nests)} nests"
    threads = f"at least {grain} rows per thread" if grain else "too small to share among threads"
    return (f"rows {rows}; {where}; {threads}",)
