"""Masks among indices: they have the sizes of the dimensions they choose from, and become coordinates in a write."""

from collections.abc import Sequence

from stepwell.dialects.graph.binary import BitwiseOrOp
from stepwell.dialects.graph.comparison import EqOp, WhereOp
from stepwell.dialects.graph.indexing import indexed_shape
from stepwell.dialects.graph.types import ONE, Shape, meta_of
from stepwell.frontends.torch.converters.data_dependent import (
    I64,
    coordinates,
    first_numbers,
    flat,
    is_mask,
    reaching,
    running_counts,
    total,
    true_where,
)
from stepwell.frontends.torch.converters.shape import rank_of, reshape, shape_of
from stepwell.frontends.torch.importer import Importer, Value
from stepwell.support.symbolic import Expr


def fit_masks(importer: Importer, operand: Value, indices: Sequence[Value | None]) -> list[Value | None]:
    """Return indices whose masks have the operand's sizes, by name too: torch guards symbolic ones at run time only."""
    shape, dim = shape_of(operand), 0
    found: list[Value | None] = []
    for index in indices:
        width = rank_of(index) if index is not None and is_mask(index) else 1
        if index is not None and is_mask(index):
            sizes = shape[dim : dim + width]
            for size, wanted in zip(shape_of(index), sizes, strict=True):
                if size != wanted:
                    importer.require_equal(size, wanted)
            index = reshape(importer, index, sizes)
        found.append(index)
        dim += width
    return found


def written_places(
    importer: Importer, operand: Value, indices: Sequence[Value | None], values: Value
) -> list[Value | None]:
    """Return indices with each mask replaced by the coordinates of its true elements.

    Masks and other indices are broadcast against each other.  How many places there are the other indices say, or the
    values, where they have more than one there; each call checks that the masks agree.  Else the host reads it.
    """
    masks = [true_where(importer, index) for index in indices if index is not None and is_mask(index)]
    marks = [importer.convert(flat(importer, mask), I64) for mask in masks]
    totals = [total(importer, each) for each in marks]
    one = importer.constant(1, I64)
    size = _known_size(operand, indices, values)
    if size is None:
        count = totals[0]
        for other in totals[1:]:
            count = importer.emit(WhereOp, importer.emit(EqOp, count, one), other, count)
        size = importer.new_size(count, Expr.max(*(shape_of(each)[0] for each in marks)))
    found: list[Value | None] = []
    given = iter(zip(masks, marks, totals, strict=True))
    for index in indices:
        if index is None or not is_mask(index):
            found.append(index)
            continue
        mask, numbers, count = next(given)
        single = importer.emit(EqOp, count, one)
        fits = importer.emit(BitwiseOrOp, single, importer.emit(EqOp, count, importer.operand(size, I64)))
        importer.check_value(fits, f"a mask with {size} true elements, or one")
        wanted = importer.emit(WhereOp, single, one, first_numbers(importer, size, 1))
        places = reaching(importer, running_counts(importer, numbers), wanted)
        found += coordinates(importer, places, shape_of(mask) or (ONE,))
    return found


def _known_size(operand: Value, indices: Sequence[Value | None], values: Value) -> Expr | None:
    """Return the size of the dimension that masks are in, as other indices or the values have it."""
    shapes: list[Shape] = [(ONE,)]
    dims: list[int] = []
    dim = 0
    for index in indices:
        if index is None:
            dim += 1
            continue
        width = max(rank_of(index), 1) if is_mask(index) else 1
        dims += range(dim, dim + width)
        dim += width
        if not is_mask(index):
            shapes.append(shape_of(index) or (ONE,))
    sizes = {shape[-1] for shape in shapes} - {ONE}
    if sizes:
        return sizes.pop()
    target, start, count = indexed_shape(meta_of(operand).shape, dims, shapes)
    behind = len(target) - (start + count - 1)
    given = shape_of(values)
    size = given[-behind] if behind <= len(given) else ONE
    return None if size == ONE else size
