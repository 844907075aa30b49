"""Write what one thread does for its row: phase after phase, joining with its team after every reduction."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from stepwell.passes.schedules.abi import Buffer
from stepwell.passes.schedules.conditions import both, less, when
from stepwell.passes.schedules.elements import Elements
from stepwell.passes.schedules.indexing import ONE, ZERO, ceil_div
from stepwell.passes.schedules.joins import Powers
from stepwell.passes.schedules.loops import delinearise
from stepwell.passes.schedules.memory import store
from stepwell.passes.schedules.nvidia.grid import Block
from stepwell.passes.schedules.nvidia.reduction_join import join_team, join_tree
from stepwell.passes.schedules.nvidia.rows_keep import KeptRows
from stepwell.passes.schedules.nvidia.rows_layout import RowLayout
from stepwell.passes.schedules.nvidia.rows_phases import Extra, Part, Phase, RowWork
from stepwell.passes.schedules.nvidia.rows_sweep import Slot, Sweep, cut
from stepwell.support.symbolic import Expr


@dataclass(frozen=True)
class Place:
    """Where a thread is.

    Attributes:
        row: values of the row variables.
        number: number of the row.
        exists: whether the row is there; None where it always is.
        member: number of the thread in its row's team.
        split: number of the block among those that share the row.
    """

    row: dict[str, Expr]
    number: Expr
    exists: Any
    member: Expr
    split: Expr


class RowWriter:
    """Writes the phases of a kernel for the row of one thread.

    All threads of a block take part in everything but stores: one that has no row of its own repeats the last one.
    """

    def __init__(self, elements: Elements, work: RowWork, layout: RowLayout, kept: KeptRows, block: Block) -> None:
        self.elements, self.work, self.layout, self.kept, self.block = elements, work, layout, kept, block
        self.code = elements.code
        self.kernel = elements.kernel
        self.place = self._find_place()

    def _find_place(self) -> Place:
        code, layout, work = self.code, self.layout, self.work
        threads = layout.threads
        counts = [Expr.const(n) for n in (threads.groups, threads.team, threads.across)]
        group, member, neighbour = delinearise(code, self.block.thread, counts)
        blocks = ceil_div(work.rows, threads.rows)
        block, split = delinearise(code, self.block.index, [blocks, Expr.const(layout.splits)])
        number = block * threads.rows + group * threads.across + neighbour
        exists = None
        if not code.ranges.less(number, work.rows):
            exists = less(code, number, work.rows)
            number = code.opaque(code.index(Expr.min(number, work.rows - 1)))
            code.ranges.limit(str(number), ZERO, work.rows)
        row = dict.fromkeys(work.variables, ZERO)
        indices = delinearise(code, number, [work.extents[n] for n in layout.order])
        row |= {work.variables[n]: index for n, index in zip(layout.order, indices, strict=True)}
        return Place(row, number, exists, member, split)

    def write(self) -> None:
        """Write all phases."""
        with self.kept.bound(self):
            for number, phase in enumerate(self.work.phases):
                self.kept.phase = number
                if phase.reduces:
                    self.bind(phase, self.total(phase, self.reduce(phase), f"phase{number}_"))
                else:
                    self.store(phase)

    # Reductions

    def reduce(self, phase: Phase) -> list[list[Any]]:
        """Write the thread's part of a reduction; return the partial results of each part of the phase."""
        code = self.code
        initial = [self.initial(part) for part in phase.parts]
        widths = [len(part.state) for part in phase.parts]

        def start() -> list[Any]:
            values: list[Any] = []
            for part, given in zip(phase.parts, initial, strict=True):
                values += given if part.joins is None else part.joins.start(code, given)
            return values

        def step(slot: Slot, values: list[Any]) -> list[Any]:
            self.kept.slot = slot
            found: list[Any] = []
            for part, before in zip(phase.parts, cut(values, widths), strict=True):
                found += self._accumulate(part, slot, before)
            return found

        sweep = self.sweep(phase)
        chains = [cut(chain, widths) for chain in sweep.write(code, step, start)]
        code.lanes = sweep.lanes
        parts = [self._join_chains(part, [chain[n] for chain in chains]) for n, part in enumerate(phase.parts)]
        code.lanes = 1
        rest = sweep.write_rest(code, step, [value for part in parts for value in part])
        return cut(rest, widths)

    def _accumulate(self, part: Part, slot: Slot, before: Sequence[Any]) -> list[Any]:
        code, nest = self.code, part.nest
        here = self.values(part, slot)
        for extra in part.extras:
            self._store_extra(part, extra, slot, here)
        if isinstance(part.joins, Powers):
            # The maximum of nothing and an element is the element.
            (element,) = self.elements.body(nest.op, nest.at(here), dict(enumerate(part.joins.start(code, ())[:1])))
            made = part.joins.join(code, before, part.joins.alone(code, element))
        else:
            made = self.elements.body(nest.op, nest.at(here), dict(enumerate(before)))
        return self.unless_missing(slot, [code.broadcast(value) for value in made], before)

    def unless_missing(self, slot: Slot, new: Sequence[Any], old: Sequence[Any]) -> list[Any]:
        """Return ``new``, or ``old`` where the thread has no such slot."""
        if slot.exists is None:
            return list(new)
        return [self._select(slot.exists, a, b) for a, b in zip(new, old, strict=True)]

    def _select(self, condition: Any, yes: Any, no: Any) -> Any:
        element = yes.type.element_type if self.code.is_vector(yes) else yes.type
        return self.code.pointwise("arith.select", (condition, yes, no), element)

    def _join_chains(self, part: Part, chains: list[list[Any]]) -> list[Any]:
        """Join the chains of one thread, then the lanes of its vectors."""
        if part.joins is None:
            return chains[0]
        values = join_tree(self.block, part.joins, chains)
        return part.joins.across_lanes(self.code, values) if self.code.lanes > 1 else values

    def total(self, phase: Phase, partial: list[list[Any]], name: str) -> list[list[Any]]:
        """Return the results of a phase from the partial ones of its team."""
        found = []
        for number, (part, values) in enumerate(zip(phase.parts, partial, strict=True)):
            if part.joins is None:
                found.append(values)
                continue
            # All threads of a team have met every element where there is no loop.
            if part.nest.variables:
                values = join_team(self.block, self.layout.threads, f"{name}{number}_", part.joins, values)
            if isinstance(part.joins, Powers):
                found.append(part.joins.finish(self.code, values))
            else:
                found.append(part.joins.join(self.code, self.initial(part), values))
        return found

    def bind(self, phase: Phase, totals: list[list[Any]]) -> None:
        """Make ``totals`` what is read of the phase's results from now on."""
        for part, values in zip(phase.parts, totals, strict=True):
            for result, value in zip(part.results, values, strict=True):
                self.elements.bind_value(result, value)

    def initial(self, part: Part) -> list[Any]:
        """Return what a reduction starts from."""
        at = tuple(self.place.row[name] for name in self.work.variables)
        return [self.elements.read(start, at) for start in part.starts]

    # Results

    def store(self, phase: Phase) -> None:
        """Write the results of a phase."""
        if not phase.extents:
            self._store_parts(phase, Slot(ZERO, ()))
            return

        def step(slot: Slot, values: list[Any]) -> list[Any]:
            self.kept.slot = slot
            self._store_parts(phase, slot)
            return values

        sweep = self.sweep(phase)
        sweep.write(self.code, step, list)
        sweep.write_rest(self.code, step, [])

    def where_leading(self, then: Callable[[], None]) -> None:
        """Write what the first thread of each row's team does alone."""
        leads = None if self.layout.threads.team == 1 else less(self.code, self.place.member, ONE)
        when(self.code, both(self.code, leads, self.place.exists), then)

    def _store_parts(self, phase: Phase, slot: Slot) -> None:
        for part in phase.parts:
            nest = part.nest
            self._store_at(nest.number, nest.value, nest.at(self.values(part, slot)), slot)

    def _store_extra(self, part: Part, extra: Extra, slot: Slot, here: dict[str, Expr]) -> None:
        self._store_at(extra.number, extra.value, part.nest.places(extra.indices, here), slot)

    def _store_at(self, number: int, value: Any, indices: tuple[Expr, ...], slot: Slot) -> None:
        buffer = self.elements.open.outputs[number]
        flat = Buffer(buffer.memref, buffer.element, self.kernel.shape(value), constant=False)
        # Read outside of the condition: what is read is there in any case, and may be wanted again.
        element = self.elements.read(value, indices)

        def write() -> None:
            store(self.code, flat, flat.position(indices), element)

        if slot.indices:
            when(self.code, both(self.code, slot.exists, self.place.exists), write)
        else:
            self.where_leading(write)

    # Places

    def sweep(self, phase: Phase) -> Sweep:
        """Return how the team passes over the loops of ``phase``."""
        layout = self.layout
        if not phase.extents:
            return Sweep((), 1, ZERO, 1, written_out=True)
        team = layout.threads.team
        whole = Sweep(
            phase.extents,
            layout.wide.lanes,
            self.place.member,
            team,
            written_out=layout.written_out(phase),
            in_turn=phase.reduces and phase.parts[0].joins is None,
            fills=layout.wide.fills(phase.extents[-1]),
        )
        if layout.splits == 1:
            return whole
        share = ceil_div(whole.vectors, layout.splits * team) * team
        low = Expr.min(self.place.split * share, whole.vectors)
        high = Expr.min(low + share, whole.vectors)
        return replace(whole, low=low, high=high, split=self.place.split)

    def values(self, part: Part, slot: Slot) -> dict[str, Expr]:
        """Return the values of the variables of ``part`` at ``slot``."""
        return self.place.row | dict(zip(part.nest.variables, slot.indices, strict=True))
