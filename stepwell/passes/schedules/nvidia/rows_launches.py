"""Write the launches of a kernel with rows: one, or one per reduction and one more where blocks share rows."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from stepwell.passes.schedules.abi import WORKSPACE_ALIGNMENT, Buffer, bytes_of, flatten, memory_type
from stepwell.passes.schedules.conditions import either, less
from stepwell.passes.schedules.elements import Elements
from stepwell.passes.schedules.indexing import ONE, ZERO, ceil_div
from stepwell.passes.schedules.memory import load, store
from stepwell.passes.schedules.nvidia.grid import WARP, Block, Grid
from stepwell.passes.schedules.nvidia.reduction_join import Arrangement, join_team, join_tree
from stepwell.passes.schedules.nvidia.rows_code import RowWriter
from stepwell.passes.schedules.nvidia.rows_keep import Keep, KeptRows
from stepwell.passes.schedules.nvidia.rows_layout import RowLayout
from stepwell.passes.schedules.nvidia.rows_phases import Part, Phase, RowWork
from stepwell.passes.schedules.nvidia.rows_sweep import Slot, Sweep
from stepwell.support.bindings import ir
from stepwell.support.symbolic import Expr

# Threads of a row, and rows of a block, where a last launch only joins what others left.
_JOINING = Arrangement(1, WARP, 4)

# Threads that a multiprocessor has to hold, with 64 registers each: left alone, ptxas spills some to hold more.
_THREADS_HELD = 1024

Body = Callable[[RowLayout, Sequence[Keep], Block], None]


def write_rows(
    elements: Elements, work: RowWork, layout: RowLayout, keeps: Sequence[Keep], scalar_keeps: Sequence[Keep]
) -> None:
    """Write the launches; ``keeps`` are kept in shared memory, ``scalar_keeps`` where pointers are not aligned."""
    if work.rows == ZERO:
        # Nothing to do, but a kernel has a launch.
        Grid(ZERO, WARP).write(elements.code, lambda block: None)
        return
    if layout.splits > 1:
        _write_split(elements, work, layout)
        return

    def whole(layout: RowLayout, keeps: Sequence[Keep], block: Block) -> None:
        RowWriter(elements, work, layout, KeptRows(keeps), block).write()

    _launch(elements, work, layout, whole, keeps, scalar_keeps)


def _launch(
    elements: Elements,
    work: RowWork,
    layout: RowLayout,
    body: Body,
    keeps: Sequence[Keep] = (),
    scalar_keeps: Sequence[Keep] = (),
) -> None:
    """Write a launch, or two where vectors need aligned pointers."""
    code, threads = elements.code, layout.threads
    blocks = ceil_div(work.rows, threads.rows) * layout.splits
    scalar = partial(body, layout.scalar(), scalar_keeps)
    launch = Grid(blocks, threads.threads, min_blocks=max(_THREADS_HELD // threads.threads, 1))
    if layout.wide.lanes == 1:
        launch.write(code, scalar)
        return

    def aligned(block: Block) -> None:
        if layout.wide.rest == ZERO:
            body(layout, keeps, block)
        else:
            test = less(code, layout.wide.rest, ONE)
            either(code, test, partial(body, layout, keeps, block), partial(scalar, block))

    replace(launch, when="aligned").write(code, aligned)
    replace(launch, when="unaligned").write(code, scalar)


# Rows that several blocks share


@dataclass(frozen=True)
class Partials:
    """Where the blocks of a row leave a result of a reduction.

    Attributes:
        part: the reduction.
        offsets: byte offset in the workspace, per result of the reduction.
        splits: blocks of a row.
    """

    part: Part
    offsets: tuple[int, ...]
    splits: int

    def buffers(self, elements: Elements, rows: int) -> list[Buffer]:
        """Return the workspace, as a tensor of rows by blocks for each result."""
        code, opened = elements.code, elements.open
        found = []
        for offset, result in zip(self.offsets, self.part.state, strict=True):
            element = result.type.element_type
            count = rows * self.splits
            whole = flatten(code, opened.workspace, Expr.const(opened.workspace_bytes), inside=True)
            type_ = ir.MemRefType.get([count], memory_type(element))
            memref = code.read_op("memref.view", (whole, code.number(offset)), type_)
            found.append(Buffer(memref, element, (Expr.const(rows), Expr.const(self.splits)), constant=False))
        return found


def _write_split(elements: Elements, work: RowWork, layout: RowLayout) -> None:
    """Write a launch per reduction that leaves partial results, and one for what is made of them."""
    table: dict[int, list[Partials]] = {}
    for number, phase in enumerate(work.phases):
        if phase.reduces and phase.extents:
            table[number] = [_reserve(elements, work, part, layout.splits) for part in phase.parts]
    for number in table:
        _launch(elements, work, layout, partial(_write_partials, elements, work, table, number))
    last = layout
    if not any(phase.extents for phase in work.phases if not phase.reduces):
        last = replace(layout.scalar(), threads=_JOINING, splits=1)
    _launch(elements, work, last, partial(_write_results, elements, work, table))


def _reserve(elements: Elements, work: RowWork, part: Part, splits: int) -> Partials:
    opened, offsets = elements.open, []
    for result in part.state:
        offsets.append(opened.workspace_bytes)
        size = work.rows.constant * splits * bytes_of(result.type.element_type)
        opened.workspace_bytes += -(-size // WORKSPACE_ALIGNMENT) * WORKSPACE_ALIGNMENT
    return Partials(part, tuple(offsets), splits)


def _write_partials(
    elements: Elements,
    work: RowWork,
    table: dict[int, list[Partials]],
    number: int,
    layout: RowLayout,
    keeps: Sequence[Keep],
    block: Block,
) -> None:
    writer = RowWriter(elements, work, layout, KeptRows(keeps), block)
    for earlier in range(number):
        _finish(writer, work.phases[earlier], earlier, table.get(earlier))
    phase = work.phases[number]
    for part, partials, values in zip(phase.parts, table[number], writer.reduce(phase), strict=True):
        assert part.joins is not None
        joined = join_team(block, layout.threads, f"phase{number}_{phase.parts.index(part)}_", part.joins, values)
        buffers = partials.buffers(elements, work.rows.constant)

        def leave(buffers: list[Buffer] = buffers, joined: list[Any] = joined) -> None:
            for buffer, value in zip(buffers, joined, strict=True):
                store(elements.code, buffer, buffer.position((writer.place.number, writer.place.split)), value)

        writer.where_leading(leave)


def _write_results(
    elements: Elements,
    work: RowWork,
    table: dict[int, list[Partials]],
    layout: RowLayout,
    keeps: Sequence[Keep],
    block: Block,
) -> None:
    writer = RowWriter(elements, work, layout, KeptRows(keeps), block)
    for number, phase in enumerate(work.phases):
        if phase.reduces:
            _finish(writer, phase, number, table.get(number))
        else:
            writer.store(phase)


def _finish(writer: RowWriter, phase: Phase, number: int, table: list[Partials] | None) -> None:
    """Bind the results of an earlier phase: from the partial ones of all blocks, or at once where it has no loop."""
    if not phase.reduces:
        return
    if table is None:
        writer.bind(phase, writer.total(phase, writer.reduce(phase), ""))
        return
    partial_results = [_collect(writer, partials) for partials in table]
    writer.bind(phase, writer.total(phase, partial_results, f"joined{number}_"))


def _collect(writer: RowWriter, partials: Partials) -> list[Any]:
    """Write how a thread takes its part of what the blocks of its row left."""
    code, joins = writer.code, partials.part.joins
    assert joins is not None
    buffers = partials.buffers(writer.elements, writer.work.rows.constant)
    initial = writer.initial(partials.part)

    def step(slot: Slot, values: list[Any]) -> list[Any]:
        found = [load(code, buffer, buffer.position((writer.place.number, *slot.indices))) for buffer in buffers]
        return writer.unless_missing(slot, joins.join(code, values, found), values)

    extents = (Expr.const(partials.splits),)
    sweep = Sweep(extents, 1, writer.place.member, writer.layout.threads.team, written_out=True)
    return join_tree(writer.block, joins, sweep.write(code, step, lambda: joins.start(code, initial)))
