"""The loop nests of a kernel as data: which indices they run over, what they touch, and what a lane choice costs."""

from dataclasses import dataclass, field, replace
from typing import Any

from stepwell.passes.schedules.analysis import Uses
from stepwell.passes.schedules.combine import Combiner
from stepwell.passes.schedules.indexing import ONE, ZERO
from stepwell.support.symbolic import Expr

# Extent assumed for a loop whose bound is not known.
ASSUMED_EXTENT = 256
# Cost of a vector access by its stride, in simple instructions; a gather costs per lane.
_ACCESS_COST = {0: 0.25, 1: 1.0, -1: 2.0, 2: 3.0}


@dataclass(frozen=True)
class Nest:
    """A loop nest that computes a reduction or one result of the kernel.

    Attributes:
        op: the reduction, or None.
        number: the result's number, or -1.
        value: what is computed: the reduction's first result, or the tensor returned.
        indices: its loop indices (reduction) or element indices (result), over outer and inner variables.
        variables: the nest's own loop variables, outermost first.
        extents: their extents.
        uses: what one element touches.
        joins: how the reduction's partial results are joined; None where only its body can do it.
        gone: variables merged into the loop inside them; they stay 0.
    """

    op: Any
    number: int
    value: Any
    indices: tuple[Expr, ...]
    variables: tuple[str, ...]
    extents: tuple[Expr, ...]
    uses: Uses
    joins: tuple[Combiner, ...] | None = None
    gone: frozenset[str] = frozenset()

    def at(self, values: dict[str, Expr]) -> tuple[Expr, ...]:
        """Return the indices for given values of all variables."""
        return self.places(self.indices, values)

    def places(self, indices: tuple[Expr, ...], values: dict[str, Expr]) -> tuple[Expr, ...]:
        """Return any indices over the nest's variables for given values of all variables."""
        known = values | dict.fromkeys(self.gone, ZERO)
        return tuple(index.substitute(known) for index in indices)

    @property
    def points(self) -> int:
        """Number of points of the nest's own loops, as far as known."""
        total = 1
        for extent in self.extents:
            total *= known_extent(extent)
        return total

    def merged(self) -> "Nest":
        """Return the nest with neighbouring loops joined where all buffers are walked the same way."""
        nest = self
        position = len(self.variables) - 2
        while position >= 0:
            outer, inner = nest.variables[position], nest.variables[position + 1]
            if self.uses.merges(outer, inner, nest.extents[position + 1]):
                nest = nest.without(position)
            position -= 1
        return nest

    def without(self, position: int) -> "Nest":
        """Return the nest with loop ``position`` merged into the next one, which walks through both."""
        # Positions in buffers are linear in both variables, so that the inner one alone, run further, reaches them all.
        extents = list(self.extents)
        extents[position + 1] = extents[position] * extents[position + 1]
        return replace(
            self,
            variables=(*self.variables[:position], *self.variables[position + 1 :]),
            extents=(*extents[:position], *extents[position + 1 :]),
            gone=self.gone | {self.variables[position]},
        )

    def cost(self, lane: str | None, lanes: int) -> float:
        """Return the cost of one point with lanes along ``lane``; None is scalar code."""
        if lane is None:
            return float(len(self.uses.accesses) + self.uses.cost)
        total = float(self.uses.cost)
        for _, position in self.uses.accesses:
            stride = self.uses.stride(position, lane)
            total += 2.0 * lanes if stride is None else _ACCESS_COST.get(stride, 1.5 * lanes)
        return total / lanes


def known_extent(extent: Expr) -> int:
    """Return an extent, or a guess where it is dynamic."""
    return extent.constant if extent.is_constant else ASSUMED_EXTENT


def filled(extent: Expr, lanes: int) -> float:
    """Return which part of the lanes is in use when a loop of ``extent`` is cut into vectors."""
    count = max(known_extent(extent), 1)
    return count / (-(-count // lanes) * lanes)


def best_lane(nest: Nest, lanes: int) -> tuple[int | None, float]:
    """Return which own loop of ``nest`` makes the best lanes, and the cost of one point then; None for scalar code."""
    best, lowest = None, nest.cost(None, lanes)
    for position in reversed(range(len(nest.variables))):
        extent = nest.extents[position]
        if extent == ONE:
            continue
        cost = nest.cost(nest.variables[position], lanes) / filled(extent, lanes)
        if cost < lowest:
            best, lowest = position, cost
    return best, lowest


@dataclass
class Names:
    """Makes names of analysis variables."""

    count: int = field(default=0)

    def take(self, stem: str) -> str:
        """Return a new name."""
        self.count += 1
        return f"%{stem}{self.count}_"
