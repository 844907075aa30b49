"""What the threads of a row do together, phase by phase: reductions and results over the same loops share one pass."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from stepwell.passes.schedules.analysis import Uses, Walk, result_indices
from stepwell.passes.schedules.indexing import ONE, linearise, product
from stepwell.passes.schedules.joins import Joins, joins_of
from stepwell.passes.schedules.kernel import Kernel, strip_reshapes
from stepwell.passes.schedules.nest import Nest, known_extent
from stepwell.passes.schedules.row_space import RowSpace
from stepwell.support.symbolic import Expr


@dataclass(frozen=True)
class Extra:
    """A result that needs no reduction but is computed on the way: it is stored as the elements pass.

    Attributes:
        number: the result's number.
        value: the tensor it is a reshape of.
        indices: its indices over the variables of its nest.
    """

    number: int
    value: Any
    indices: tuple[Expr, ...]


@dataclass(frozen=True)
class Part:
    """One nest of a phase.

    Attributes:
        nest: the nest.
        joins: how partial results are joined; None for results, and for reductions that one thread has to do alone.
        extras: results to store on the way.
        sums: the reductions of powers that go on beside that of the maximum, by ``Powers``.
    """

    nest: Nest
    joins: Joins | None = None
    extras: tuple[Extra, ...] = ()
    sums: tuple[Any, ...] = ()

    @property
    def results(self) -> list[Any]:
        """What the reductions compute."""
        return [result for op in (self.nest.op, *self.sums) for result in op.results]

    @property
    def state(self) -> list[Any]:
        """Results of the types of a partial result; sums of powers share one."""
        return [result for op in (self.nest.op, *self.sums[:1]) for result in op.results]

    @property
    def starts(self) -> list[Any]:
        """The tensors that the first reduction starts from."""
        op = self.nest.op
        return list(op.operands)[len(op.operands) - len(op.results) :]


@dataclass(frozen=True)
class Phase:
    """Nests over equal loops that do not wait for each other.

    Attributes:
        parts: the nests: reductions only, or results only.
        extents: their loops.
    """

    parts: tuple[Part, ...]

    @property
    def extents(self) -> tuple[Expr, ...]:
        """Extents of the loops."""
        return self.parts[0].nest.extents

    @property
    def points(self) -> int:
        """Number of points of the loops, as far as known."""
        return known_extent(product(self.extents)) if self.extents else 1

    @property
    def reduces(self) -> bool:
        """True for reductions."""
        return self.parts[0].nest.op is not None


@dataclass(frozen=True)
class RowWork:
    """All that a kernel does for its rows.

    Attributes:
        variables: variables of the row space, outermost first.
        extents: their extents; 1 for those merged into the next.
        phases: in order.
        free: numbers of the results that no phase computes.
    """

    variables: tuple[str, ...]
    extents: tuple[Expr, ...]
    phases: tuple[Phase, ...]
    free: tuple[int, ...]

    @property
    def rows(self) -> Expr:
        """Number of rows."""
        return product(self.extents)

    @property
    def reductions(self) -> tuple[Phase, ...]:
        """The phases that reduce."""
        return tuple(phase for phase in self.phases if phase.reduces)

    @property
    def parts(self) -> list[Part]:
        """The nests of all phases."""
        return [part for phase in self.phases for part in phase.parts]

    @property
    def alone(self) -> bool:
        """True where some reduction has to be done by one thread, element after element."""
        return any(part.nest.op is not None and part.joins is None for part in self.parts)


def row_work(kernel: Kernel) -> RowWork:
    """Return what ``kernel`` does for its rows; raises Refusal where its reductions share no rows."""
    space = RowSpace(kernel)
    extras, free = _extras(kernel, space)
    nests = _merge_rows(kernel, space)
    extents = tuple(space.extents)
    phases: list[list[Part]] = []
    for number, nest in enumerate(nests):
        joins = None if nest.op is None else joins_of(nest.op)
        part = Part(nest, joins, tuple(extras.get(number, ())))
        home = _home(phases, part)
        if home is None:
            phases.append([part])
        else:
            home.append(part)
    return RowWork(tuple(space.variables), extents, tuple(Phase(tuple(parts)) for parts in phases), tuple(free))


def _extras(kernel: Kernel, space: RowSpace) -> tuple[dict[int, list[Extra]], list[int]]:
    """Find results that a reduction computes all elements of; return them by nest, and the other free results."""
    extras: dict[int, list[Extra]] = {}
    left = []
    for number in space.free:
        value = strip_reshapes(kernel.results[number])
        for place, nest in enumerate(space.nests):
            if nest.op is None or len(nest.uses.computed.get(value, ())) != 1:
                continue
            (dims,) = nest.uses.computed[value]
            indices = result_indices(value.owner, dims)
            if space.ranges.cover(indices, kernel.shape(value)):
                nest.uses.accesses[("result", number), linearise(indices, kernel.shape(value))] = None
                extras.setdefault(place, []).append(Extra(number, value, indices))
                break
        else:
            left.append(number)
    return extras, left


def _merge_rows(kernel: Kernel, space: RowSpace) -> list[Nest]:
    """Merge the loops of each nest, and row variables that all nests walk like one; return the nests."""
    uses = [nest.uses for nest in space.nests] + [_initial_uses(kernel, space)]
    inner: int | None = None
    for outer in reversed([n for n, extent in enumerate(space.extents) if extent != ONE]):
        if inner is not None:
            names = space.variables[outer], space.variables[inner]
            if all(use.lines_up(*names, space.extents[inner]) for use in uses):
                # The inner one runs on where the outer one would step; the outer one stays 0.
                space.extents[inner] = space.extents[outer] * space.extents[inner]
                space.extents[outer] = ONE
                continue
        inner = outer
    return _merge_loops(space.nests)


def _merge_loops(nests: Sequence[Nest]) -> list[Nest]:
    """Merge neighbouring loops where all nests of equal loops agree, so that they can still share what they read."""
    found: list[Nest] = []
    for nest in nests:
        alike = [other for other in nests if other.extents == nest.extents]
        for position in reversed(range(len(nest.variables) - 1)):
            inside = nest.extents[position + 1]
            if all(other.uses.merges(*_pair(other, position), inside) for other in alike):
                alike = [other.without(position) for other in alike]
                nest = nest.without(position)
        found.append(nest)
    return found


def _pair(nest: Nest, position: int) -> tuple[str, str]:
    return nest.variables[position], nest.variables[position + 1]


def _initial_uses(kernel: Kernel, space: RowSpace) -> Uses:
    walk = Walk(kernel, space.ranges)
    for op in space.reductions:
        for initial in list(op.operands)[len(op.operands) - len(op.results) :]:
            walk.read(initial, space.row)
    return walk.uses


def _home(phases: list[list[Part]], part: Part) -> list[Part] | None:
    """Return the phase that ``part`` may join: the last one that it would not wait for."""
    needed = set(part.nest.uses.reductions)
    found = None
    for phase in phases:
        computed = {result for other in phase if other.nest.op is not None for result in other.nest.op.results}
        if computed & needed:
            found = None
        elif _matches(phase[0], part) and found is None:
            found = phase
    return found


def _matches(first: Part, part: Part) -> bool:
    a, b = first.nest, part.nest
    alike = (a.op is None) == (b.op is None) and a.extents == b.extents
    return alike and (a.op is None or (first.joins is None) == (part.joins is None))
