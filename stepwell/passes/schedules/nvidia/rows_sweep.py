"""How a team of threads passes over the elements of its row: all slots written out, or in loops."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from stepwell.passes.schedules.code import Code
from stepwell.passes.schedules.conditions import less
from stepwell.passes.schedules.indexing import LANE, ZERO, product
from stepwell.passes.schedules.loops import delinearise
from stepwell.support.symbolic import Expr

# Vectors per iteration of a loop, as far as their elements fit registers: as many loads are under way at once.
_UNROLL = 4
_UNROLLED_ELEMENTS = 16


@dataclass(frozen=True)
class Slot:
    """A vector of elements, or one, that a thread works on.

    Attributes:
        number: which of the row's vectors it is.
        indices: index of each loop.
        exists: whether it is there (it is another thread's else); None where it always is.
    """

    number: Expr
    indices: tuple[Expr, ...]
    exists: Any = None


# (slot, carried values) -> next carried values
Step = Callable[[Slot, list[Any]], list[Any]]


@dataclass(frozen=True)
class Sweep:
    """A pass over loops of ``extents``, by vectors of ``lanes`` along the innermost, each by one thread of ``team``.

    Attributes:
        extents: the loops.
        lanes: elements of a vector.
        member: number of the thread in its team.
        team: number of threads.
        written_out: write every slot; the number of vectors is known then.
        in_turn: every slot goes on from the one before; else there are several independent chains.
        fills: whether the vectors hold all elements; where not, there is one loop.
        low, high: which of the row's vectors to pass; None for all.
        split: number of the block among those that share the row; the first does what fills no vector.
    """

    extents: tuple[Expr, ...]
    lanes: int
    member: Expr
    team: int
    written_out: bool
    in_turn: bool = False
    fills: bool = True
    low: Expr | None = None
    high: Expr | None = None
    split: Expr = ZERO

    @property
    def vectors(self) -> Expr:
        """Number of whole vectors of the row."""
        return product(self._grid())

    def _grid(self) -> list[Expr]:
        return [*self.extents[:-1], self.extents[-1] // self.lanes] if self.extents else []

    def write(self, code: Code, step: Step, start: Callable[[], list[Any]]) -> list[list[Any]]:
        """Write the pass; return the carried values of each of its independent chains.

        ``start`` gives the values that a chain begins with.
        """
        code.lanes = self.lanes
        chains = self._slots(code, step, start) if self.written_out else self._loops(code, step, start)
        code.lanes = 1
        return chains

    def write_rest(self, code: Code, step: Step, values: list[Any]) -> list[Any]:
        """Write the elements that fill no vector, one by one, with ``values`` carried."""
        if self.lanes == 1 or self.fills:
            return values
        rest = self.extents[-1] % self.lanes
        whole = self.extents[-1] - rest

        def body(number: Expr, inner: list[Any]) -> Sequence[Any]:
            return step(Slot(number, (number,)), inner)

        first = whole + self.member + self.split * self.lanes
        return code.loop(first, self.extents[-1], body, values, step=self.team)

    def _chains(self) -> int:
        # The lanes of a vector are chains already.
        return 1 if self.in_turn else max(_UNROLL // self.lanes, 1)

    def _slots(self, code: Code, step: Step, start: Callable[[], list[Any]]) -> list[list[Any]]:
        count = self.vectors.constant
        chains = [start() for _ in range(min(self._chains(), max(count // self.team, 1)))]
        for place in range(-(-count // self.team)):
            number = self.member + place * self.team
            exists = None
            if not code.ranges.less(number, self.vectors):
                exists = less(code, number, self.vectors)
                number = code.opaque(code.index(Expr.min(number, Expr.const(count - 1))))
                code.ranges.limit(str(number), ZERO, self.vectors)
            chain = place % len(chains)
            chains[chain] = step(self._slot(code, number, exists), chains[chain])
        return chains

    def _loops(self, code: Code, step: Step, start: Callable[[], list[Any]]) -> list[list[Any]]:
        low = ZERO if self.low is None else self.low
        high = self.vectors if self.high is None else self.high
        chains = [start() for _ in range(self._chains())]
        width = len(chains[0])
        unroll = max(min(_UNROLL, _UNROLLED_ELEMENTS // self.lanes), 1)
        stride = unroll * self.team
        middle = low + (high - low) // stride * stride

        def several(base: Expr, flat: list[Any]) -> Sequence[Any]:
            values = cut(flat, [width] * len(chains))
            for place in range(unroll):
                chain = place % len(chains)
                values[chain] = step(self._slot(code, base + self.member + place * self.team), values[chain])
            return [value for chain in values for value in chain]

        flat = code.loop(low, middle, several, [v for chain in chains for v in chain], step=stride, whole_steps=True)
        first, *others = cut(flat, [width] * len(chains))

        def one(number: Expr, values: list[Any]) -> Sequence[Any]:
            return step(self._slot(code, number), values)

        return [code.loop(middle + self.member, high, one, first, step=self.team), *others]

    def _slot(self, code: Code, number: Expr, exists: Any = None) -> Slot:
        indices = delinearise(code, number, self._grid())
        if self.lanes > 1:
            code.ranges.limit(LANE, ZERO, Expr.const(self.lanes))
            indices[-1] = indices[-1] * self.lanes + Expr.symbol(LANE)
        return Slot(number, tuple(indices), exists)


def cut(values: Sequence[Any], widths: Sequence[int]) -> list[list[Any]]:
    """Return ``values`` in pieces of ``widths``."""
    pieces, start = [], 0
    for width in widths:
        pieces.append(list(values[start : start + width]))
        start += width
    return pieces
