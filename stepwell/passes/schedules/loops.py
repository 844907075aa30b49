"""Loops over vectors: whole vectors first, several at a time where asked, then the masked rest."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from stepwell.passes.schedules.code import Code
from stepwell.passes.schedules.indexing import LANE, ZERO
from stepwell.support.symbolic import Expr

# (indices of the vectors worked on, carried values) -> next carried values
LaneBody = Callable[[list[Expr], list[Any]], Sequence[Any]]


@dataclass(frozen=True)
class LaneLoop:
    """A loop over ``extent`` elements, ``lanes`` at a time in each of ``unroll`` vectors."""

    extent: Expr
    lanes: int
    unroll: int = 1

    def write(self, code: Code, body: LaneBody, carried: Sequence[Any] = (), low: Expr = ZERO) -> list[Any]:
        """Write the loop from ``low`` to ``extent``.

        ``body`` is given the vectors' indices; the masked rest is a single vector.  Carried values of masked lanes are
        the body's to keep.
        """
        code.lanes = self.lanes
        values = list(carried)
        done = low
        for unroll in dict.fromkeys((self.unroll, 1)):
            step = self.lanes * unroll
            end = low + (self.extent - low) // step * step
            values = code.loop(done, end, self._vectors(code, body, unroll), values, step=step, whole_steps=True)
            done = end
        values = self._rest(code, body, values, done)
        code.lanes = 1
        return values

    def _vectors(self, code: Code, body: LaneBody, unroll: int) -> Any:
        lane = Expr.symbol(LANE)
        code.ranges.limit(LANE, ZERO, Expr.const(self.lanes))

        def write(base: Expr, values: list[Any]) -> Sequence[Any]:
            return body([base + number * self.lanes + lane for number in range(unroll)], values)

        return write

    def _rest(self, code: Code, body: LaneBody, values: list[Any], done: Expr) -> list[Any]:
        rest = self.extent - done
        if rest == ZERO:
            return values
        code.ranges.limit(LANE, ZERO, rest if rest.is_constant else Expr.const(self.lanes))

        def write(base: Expr, inner: list[Any]) -> Sequence[Any]:
            before = code.mask
            code.mask = code.first_lanes(self.extent - base)
            result = body([base + Expr.symbol(LANE)], inner)
            code.mask = before
            return result

        if rest.is_constant:
            return list(write(done, values))
        return code.loop(done, self.extent, write, values, step=self.lanes)


def write_loops(
    code: Code,
    extents: Sequence[Expr],
    body: Callable[[list[Expr], list[Any]], Sequence[Any]],
    carried: Sequence[Any] = (),
    *,
    unrolled_points: int = 1,
) -> list[Any]:
    """Write nested loops over ``extents``; the inner ones are written out, as many as have ``unrolled_points``."""
    looped = _looped(extents, unrolled_points)

    def write(depth: int, indices: list[Expr], values: list[Any]) -> Sequence[Any]:
        if depth == len(extents):
            return body(indices, values)
        if depth >= looped:
            for number in range(extents[depth].constant):
                values = list(write(depth + 1, [*indices, Expr.const(number)], values))
            return values
        return code.loop(ZERO, extents[depth], lambda index, inner: write(depth + 1, [*indices, index], inner), values)

    return list(write(0, [], list(carried)))


def _looped(extents: Sequence[Expr], unrolled_points: int) -> int:
    """Return how many outer loops remain where the inner ones are written out."""
    points, looped = 1, len(extents)
    for extent in reversed(extents):
        points *= extent.constant if extent.is_constant else unrolled_points + 1
        if points > unrolled_points:
            break
        looped -= 1
    return looped


def effect(body: Callable[[list[Expr]], None]) -> Callable[[list[Expr], list[Any]], list[Any]]:
    """Return ``body`` as the body of loops that carry nothing."""

    def write(indices: list[Expr], _: list[Any]) -> list[Any]:
        body(indices)
        return []

    return write


def delinearise(code: Code, position: Expr, extents: Sequence[Expr]) -> list[Expr]:
    """Return the indices of row-major ``position`` in a nest of ``extents``, as variables with known ranges."""
    indices: list[Expr] = []
    rest = position
    for extent in reversed(extents[1:]):
        rest, index = code.ranges.divide(rest, extent)
        indices.append(_named(code, index, extent))
    if not extents:
        return []
    return [_named(code, rest, extents[0]), *reversed(indices)]


def _named(code: Code, index: Expr, extent: Expr) -> Expr:
    if index.is_constant or (extent.is_constant and extent.constant == 1):
        return ZERO if extent.is_constant and extent.constant == 1 else index
    if len(index.symbols) == 1 and str(index) in index.symbols:
        return index
    variable = code.opaque(code.index(index))
    code.ranges.limit(str(variable), ZERO, extent)
    return variable
