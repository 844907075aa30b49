"""Whether neighbouring columns of a product can be stored, and what goes with them loaded, as pairs."""

from typing import Any

from stepwell.passes.schedules.contraction import Contraction, variable
from stepwell.passes.schedules.contraction_accesses import accesses, follow
from stepwell.passes.schedules.indexing import ZERO, Ranges, linearise
from stepwell.passes.schedules.kernel import Kernel
from stepwell.passes.schedules.steps import Indices
from stepwell.support.symbolic import Expr

PAIR = 2


def column_pairs(kernel: Kernel, contraction: Contraction) -> bool:
    """Tell whether columns 2i and 2i + 1 of a contraction are neighbours in all memory that its results touch."""
    ranges = Ranges()
    for dim, extent in enumerate(contraction.extents):
        ranges.limit(variable(dim), ZERO, extent)
    indices = contraction.output_indices(tuple(Expr.symbol(variable(dim)) for dim in range(len(contraction.extents))))
    if contraction.count(contraction.columns) % PAIR != ZERO:
        return False
    column = variable(contraction.columns[-1])
    starts = () if contraction.start is None else (contraction.start,)
    return pairs_fit(kernel, ranges, contraction.result, indices, column, starts)


def pairs_fit(
    kernel: Kernel, ranges: Ranges, value: Any, indices: Indices, column: str, others: tuple[Any, ...] = ()
) -> bool:
    """Tell whether elements 2i and 2i + 1 along ``column`` are neighbours, at even places, in memory.

    That is looked at for all buffers that the kernel's results are made of, from element ``indices`` of ``value`` on,
    for the results themselves, and for the tensors ``others`` at ``indices``.
    """
    positions = []
    found = []
    places = follow(kernel, ranges, value, indices)
    for result, place, shape in zip(kernel.results, places, kernel.result_shapes, strict=True):
        positions.append(linearise(place, shape))
        found.append(accesses(kernel, ranges, result, place, until=value.owner.operation))
    found += [accesses(kernel, ranges, other, indices) for other in others]
    for item in found:
        if not item.regular or any(access.guarded for access in item.items):
            return False
        positions += [access.position for access in item.items]
    return all(_is_even_line(position, column) for position in positions)


def _is_even_line(position: Expr, column: str) -> bool:
    """Tell whether a position is that of ``column`` plus an even number, or does not depend on the column."""
    rest = position.substitute({column: ZERO})
    step = position - rest
    if step not in (ZERO, Expr.symbol(column)):
        return False
    return step == ZERO or all(factor % PAIR == 0 for _, factor in rest.terms)
