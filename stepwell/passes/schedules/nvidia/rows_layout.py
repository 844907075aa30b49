"""Choose which threads work on which rows, from where neighbouring threads would find their elements."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from stepwell.passes.schedules.abi import bytes_of
from stepwell.passes.schedules.analysis import Uses
from stepwell.passes.schedules.indexing import ONE
from stepwell.passes.schedules.kernel import Kernel, reachable
from stepwell.passes.schedules.nest import Nest, known_extent
from stepwell.passes.schedules.nvidia.grid import WARP
from stepwell.passes.schedules.nvidia.reduction_join import Arrangement
from stepwell.passes.schedules.nvidia.rows_phases import Phase, RowWork
from stepwell.passes.schedules.nvidia.wide_access import Wide, widest
from stepwell.support.symbolic import Expr
from stepwell.support.target import Target

REGISTER_VALUES = 32
"""Elements of a row that a thread holds in registers: with what computing takes, under 128 registers.

Half of it in blocks of 1024 threads, which have 64 registers each.
"""

# Threads per multiprocessor that hide the latency of memory where each has several loads under way.
_BUSY_THREADS = 1024
# Rows are dealt to blocks of at least so many threads.
_BLOCK_THREADS = 128
# Beyond it a block of threads that hold REGISTER_VALUES does not fit the registers of a multiprocessor.
_TEAM_LIMIT = 512
_SECTOR_BYTES = 32
# A size known late that multiplies a known number of rows is likely a batch of about so many.
_BATCH = 16
# Simple instructions of a thread in the time that a multiprocessor takes for a sector of its level 1 cache.
_SECTOR_COST = 64
# Steps of a reduction that one thread may well do alone, and at least so many where several blocks share a row.
_STEPS_ALONE = 16
_STEPS_SHARED = 8
# Threads of a block where several share a row, and how many do where its length is not known.
_SHARING_THREADS = 256
_SPLITS_UNKNOWN = 64
# Simple instructions to find the place of an element, and for each division on the way.
_ADDRESS_COST = 4
_DIVISION_COST = 8


@dataclass(frozen=True)
class RowLayout:
    """How rows and their elements are dealt to threads.

    Attributes:
        threads: the arrangement of a block.
        order: the row variables, slowest first: neighbouring threads take neighbours along the last.
        wide: vectors along each nest's innermost loop.
        splits: blocks that share a row; 1 where each row has one block at most.
    """

    threads: Arrangement
    order: tuple[int, ...]
    wide: Wide
    splits: int = 1

    def written_out(self, phase: Phase) -> bool:
        """Tell whether all slots of ``phase`` are written out: a thread's part of the row fits its registers."""
        if self.splits > 1 or not all(extent.is_constant for extent in phase.extents):
            return False
        lanes = self.wide.lanes if phase.extents else 1
        values = granules(granules(phase.points, lanes), self.threads.team) * lanes
        return values <= (REGISTER_VALUES if self.threads.threads <= _TEAM_LIMIT else REGISTER_VALUES // 2)

    def scalar(self) -> "RowLayout":
        """Return the layout without vectors."""
        return replace(self, wide=Wide(1, reason="pointers are not aligned"))


def choose_layout(kernel: Kernel, target: Target, work: RowWork) -> RowLayout:
    """Return the layout that touches the fewest sectors of memory, with threads enough to fill the GPU."""
    live = [number for number, extent in enumerate(work.extents) if extent != ONE]
    wide = _vectors(kernel, work)
    if work.alone:
        wide = Wide(1, reason="one thread does a row")
    within = RowLayout(_team_within(target, work, wide.lanes), tuple(live), wide)
    candidates = [within]
    for fast in live:
        order = (*(number for number in live if number != fast), fast)
        candidates.append(RowLayout(_team_across(target, work), order, Wide(1, reason="lanes lie across rows")))
    return min(candidates, key=lambda layout: _cost(kernel, work, layout))


def granules(points: int, lanes: int) -> int:
    """Return how many vectors hold ``points`` elements."""
    return -(-points // lanes)


def power_of_two(number: int) -> int:
    """Return the smallest power of two that is not less than ``number``."""
    return 1 << max(number - 1, 0).bit_length()


def _vectors(kernel: Kernel, work: RowWork) -> Wide:
    """Return the widest vectors that all nests with loops allow."""
    found: Wide | None = None
    for part in work.parts:
        nest = part.nest
        if not nest.variables:
            continue
        wide = _vectors_of(kernel, nest)
        multiples = tuple(dict.fromkeys((*(found.multiples if found else ()), *wide.multiples)))
        narrowest = wide if found is None or wide.lanes < found.lanes else found
        found = Wide(narrowest.lanes, multiples if narrowest.lanes > 1 else (), narrowest.reason)
    return found or Wide(1, reason="rows have one element")


def _vectors_of(kernel: Kernel, nest: Nest) -> Wide:
    if not any(nest.uses.stride(position, nest.variables[-1]) == 1 for _, position in nest.uses.accesses):
        return Wide(1, reason="no buffer is contiguous along a row")
    wide, innermost = widest(kernel, nest, reachable([nest.value])), nest.extents[-1]
    if len(nest.variables) == 1 or wide.fills(innermost):
        return wide
    if innermost.is_constant:
        return Wide(1, reason=f"{innermost} elements are no whole vectors of {wide.lanes}")
    return replace(wide, multiples=(*wide.multiples, innermost))


def _team_within(target: Target, work: RowWork, lanes: int) -> Arrangement:
    """Give each row a team of neighbouring threads."""
    rows = _rows(work)
    count = granules(max(phase.points for phase in work.phases), lanes)
    team = 1
    if not work.alone:
        team = _short_team(count) if count <= WARP else WARP
        while team < _TEAM_LIMIT and granules(count, team) * lanes > REGISTER_VALUES:
            team *= 2
        while team < 2 * _TEAM_LIMIT and 2 * team <= count and rows * team < _busy(target):
            team *= 2
    groups = max(min(_BLOCK_THREADS // team, power_of_two(rows)), -(-WARP // team), 1)
    return Arrangement(1, team, groups)


def _short_team(count: int) -> int:
    """Return the team for rows of up to a warp's vectors: the one that leaves fewest idle, then the smallest."""
    most = power_of_two(count)
    teams = [team for team in (most, most // 2, most // 4) if team]
    return min(teams, key=lambda team: (granules(count, team) * team, team))


def _team_across(target: Target, work: RowWork) -> Arrangement:
    """Give neighbouring threads neighbouring rows, and each row a team of such threads."""
    rows = _rows(work)
    across = min(WARP, power_of_two(rows))
    points = max(phase.points for phase in work.phases)
    team = 1
    if not work.alone:
        while across * team < 2 * _TEAM_LIMIT and points > _STEPS_ALONE * team and rows * team < _busy(target):
            team *= 2
        while across * team < _TEAM_LIMIT and len(work.phases) > 1 and granules(points, team) > REGISTER_VALUES:
            team *= 2
    together = across * team
    groups = max(min(_BLOCK_THREADS // together, power_of_two(-(-rows // across))), -(-WARP // together), 1)
    return Arrangement(across, team, groups)


def _rows(work: RowWork) -> int:
    """Return the number of rows, or a guess: what is known of it times a few."""
    if work.rows.is_constant:
        return work.rows.constant
    few = work.rows.evaluate(dict.fromkeys(work.rows.symbols, _BATCH))
    return max(few, known_extent(work.rows))


def _busy(target: Target) -> int:
    return target.multiprocessors * _BUSY_THREADS


def share_rows(target: Target, work: RowWork, layout: RowLayout) -> RowLayout:
    """Return ``layout`` with several blocks for each row, where there are too few rows for all multiprocessors."""
    if work.alone or not work.reductions or not work.rows.is_constant or not work.rows.constant:
        return layout
    team = min(layout.threads.team, max(_SHARING_THREADS // layout.threads.across, 1))
    shared = replace(layout, threads=replace(layout.threads, team=team))
    blocks = -(-work.rows.constant // shared.threads.rows)
    if blocks >= target.multiprocessors:
        return layout
    room = 2 * target.multiprocessors // blocks
    longest = max(work.phases, key=lambda phase: phase.points)
    if all(extent.is_constant for extent in longest.extents):
        steps = granules(longest.points, layout.wide.lanes) // team
        splits = min(room, steps // _STEPS_SHARED)
    else:
        # A row of any length: worth it where almost all of the GPU would be idle.
        splits = min(room, _SPLITS_UNKNOWN) if room > WARP else 1
    return replace(shared, splits=splits) if splits > 1 else layout


# What a warp's access costs


def _cost(kernel: Kernel, work: RowWork, layout: RowLayout) -> float:
    """Estimate the cost of a row in simple instructions of a thread."""
    threads, lanes = layout.threads, layout.wide.lanes
    total = 0.0
    for part in work.parts:
        nest = part.nest
        vectors = lanes if nest.variables else 1
        spots = _spots(work, layout, nest, vectors)
        sectors = sum(_sectors(kernel, nest.uses, access, spots, vectors) for access in nest.uses.accesses)
        count = granules(nest.points, vectors)
        steps = granules(count, threads.team) * threads.team
        divisions = max(len(nest.variables) - 1, 0) if threads.team > 1 else 0
        finding = _ADDRESS_COST * len(nest.uses.accesses) + _DIVISION_COST * divisions
        total += count * sectors / WARP * _SECTOR_COST + steps * (nest.uses.cost * vectors + finding)
        if nest.op is not None:
            total += 2 * threads.team * max(threads.team - 1, 0).bit_length() + (threads.warps_of_team > 1) * WARP
    return total


def _spots(work: RowWork, layout: RowLayout, nest: Nest, lanes: int) -> list[dict[str, int]]:
    """Return where each thread of a warp is in the loops of ``nest``, by variable."""
    threads = layout.threads
    extents = [known_extent(extent) for extent in nest.extents]
    if extents:
        extents[-1] = max(extents[-1] // lanes, 1)
    spots = []
    for thread in range(WARP):
        rest = thread // threads.across
        row = rest // threads.team * threads.across + thread % threads.across
        rest %= threads.team
        spot = {}
        for variable, extent in zip(reversed(nest.variables), reversed(extents), strict=True):
            rest, spot[variable] = divmod(rest, max(extent, 1))
        if nest.variables:
            spot[nest.variables[-1]] *= lanes
        for number in reversed(layout.order[1:]):
            row, spot[work.variables[number]] = divmod(row, max(known_extent(work.extents[number]), 1))
        if layout.order:
            spot[work.variables[layout.order[0]]] = row
        spots.append(spot)
    return spots


def _sectors(kernel: Kernel, uses: Uses, access: tuple[Any, Expr], spots: Sequence[dict[str, int]], lanes: int) -> int:
    """Return how many sectors of memory the threads at ``spots`` touch together."""
    buffer, position = access
    value = kernel.results[buffer[1]] if isinstance(buffer, tuple) else buffer
    size = bytes_of(value.type.element_type)
    strides: dict[str, int] = {}
    for variable in spots[0]:
        if any(spot[variable] for spot in spots):
            stride = uses.stride(position, variable)
            strides[variable] = (1 << 20) if stride is None else stride
    touched = set()
    for spot in spots:
        first = sum(stride * spot[variable] for variable, stride in strides.items()) * size
        touched |= set(range(first // _SECTOR_BYTES, (first + size * lanes - 1) // _SECTOR_BYTES + 1))
    return len(touched)
