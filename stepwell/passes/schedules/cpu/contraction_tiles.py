"""Loops over tiles and vectors with their remainders, for contraction kernels."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from stepwell.passes.schedules.code import Code
from stepwell.passes.schedules.indexing import LANE, ZERO, ceil_div
from stepwell.support.bindings import ir
from stepwell.support.symbolic import Expr

Tile = Callable[[Expr, int, Expr | None], None]


def set_lanes(code: Code, lanes: int) -> None:
    """Write vectors of ``lanes`` elements from now on."""
    code.lanes = lanes
    code.ranges.limit(LANE, ZERO, Expr.const(lanes))


@contextmanager
def first_lanes(code: Code, count: Expr | None) -> Iterator[None]:
    """Mask all but the first ``count`` lanes in the code written inside; None changes nothing."""
    before = code.mask
    if count is not None and count.is_constant and count.constant >= code.lanes:
        code.mask = None
    elif count is not None:
        bit = ir.IntegerType.get_signless(1)
        code.mask = code.op("vector.create_mask", (code.index(count),), code.vector_type(bit))
    try:
        yield
    finally:
        code.mask = before


def for_tiles(code: Code, count: Expr, size: int, rest: int, body: Tile, *, numbered: bool = False) -> None:
    """Write ``body(start, size, None)`` for each whole tile, and once for the remainder.

    Args:
        code: where to write.
        count: how many items there are.
        size: items of a tile.
        rest: what is known of the remainder: 0 if there is never one, its size if that is known, else ``size``.
        body: gets the first item, the tile's static size, and for a remainder the number of items that exist.
        numbered: count tiles instead of items, so that a tile's start is known to be a multiple of ``size``.
    """

    def whole_tile(at: Expr, _: list[Any]) -> tuple[()]:
        body(at, size, None)
        return ()

    def numbered_tile(number: Expr, _: list[Any]) -> tuple[()]:
        body(number * size, size, None)
        return ()

    whole = count if rest == 0 else count // size * size
    if numbered:
        code.loop(ZERO, whole // size, numbered_tile)
    else:
        code.loop(ZERO, whole, whole_tile, step=size, whole_steps=True)
    if rest == 0:
        return
    if count.is_constant:
        rest = (count - whole).constant

    def last_tile(at: Expr, _: list[Any]) -> tuple[()]:
        body(at, rest, count - at)
        return ()

    def numbered_last(number: Expr, _: list[Any]) -> tuple[()]:
        return last_tile(number * size, _)

    if numbered:
        code.loop(whole // size, ceil_div(count, size), numbered_last)
    else:
        code.loop(whole, count, last_tile, step=size)


def for_vectors(code: Code, count: Expr, exact: bool, body: Callable[[Expr, Expr | None], None]) -> None:
    """Write ``body(start, left)`` for each vector of ``count`` items.

    Unless the count is ``exact``, the last vector is masked and ``left`` tells how many of its items exist.
    """

    def tail(start: Expr, _: int, left: Expr | None) -> None:
        with first_lanes(code, left):
            body(start, left)

    for_tiles(code, count, code.lanes, 0 if exact else code.lanes, tail)


def transpose(code: Code, rows: list[Any]) -> list[Any]:
    """Return the columns of a square of vectors, by log2(n) rounds of exchanges between halves."""
    lanes = len(rows)
    rows = list(rows)
    distance = lanes // 2
    while distance:
        low = [lane if not lane & distance else lanes + lane - distance for lane in range(lanes)]
        high = [lane + distance if not lane & distance else lanes + lane for lane in range(lanes)]
        for number in range(lanes):
            if not number & distance:
                a, b = rows[number], rows[number + distance]
                rows[number], rows[number + distance] = shuffle(code, a, b, low), shuffle(code, a, b, high)
        distance //= 2
    return rows


def shuffle(code: Code, a: Any, b: Any, picked: list[int]) -> Any:
    """Return a vector of elements picked from two vectors laid end to end."""
    type_ = code.vector_type(a.type.element_type, len(picked))
    return code.op("vector.shuffle", (a, b), type_, {"mask": ir.DenseI64ArrayAttr.get(picked)})
