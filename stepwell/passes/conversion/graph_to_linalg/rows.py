"""Ops that treat each row along one dimension by itself: one parallel loop over the rows, a row function inside."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from stepwell.dialects.graph.sizes import number_of_elements
from stepwell.dialects.graph.types import ONE, TensorMeta
from stepwell.passes.conversion.graph_to_linalg.lowering import Builder, Tensor
from stepwell.passes.conversion.graph_to_linalg.rearrange import (
    ZERO,
    delinearize,
    empty,
    has_no_elements,
    index_constant,
    reshape,
    split_static,
)
from stepwell.support.bindings import ir, scf, tensor
from stepwell.support.dtypes import DType
from stepwell.support.symbolic import Expr


@dataclass(frozen=True)
class Row:
    """One row of a tensor, inside the loop over rows; ``others`` is its position in the other dimensions."""

    source: Any
    dim: int
    others: tuple[Any, ...]

    def place(self, position: Any) -> list[Any]:
        """Return the place in the whole tensor of an element of the row."""
        return [*self.others[: self.dim], position, *self.others[self.dim :]]

    def read(self, position: Any) -> Any:
        """Read one element."""
        return tensor.extract(self.source, self.place(position))


# Gets the input row and one [length] tensor to write per output, returns the written tensors.
RowBody = Callable[[Row, list[Any]], Sequence[Any]]


def map_rows(
    build: Builder, item: Tensor, dim: int, outputs: Sequence[tuple[Expr, DType]], body: RowBody
) -> list[Tensor]:
    """Compute output rows from input rows.

    Args:
        build: the function under construction.
        item: the input, of rank 1 or more.
        dim: the dimension along which a row lies.
        outputs: length of the row and dtype per output.
        body: computes one row.

    Returns:
        The outputs, each of the input's shape but for the row's length.
    """
    shape = item.meta.shape
    others = (*shape[:dim], *shape[dim + 1 :])
    metas = [TensorMeta((*shape[:dim], length, *shape[dim + 1 :]), dtype) for length, dtype in outputs]
    if all(has_no_elements(meta.shape) for meta in metas):
        return [empty(build, meta) for meta in metas]
    packed = _told_apart(metas)
    starts = [empty(build, meta).value for meta in packed]
    loop = scf.ForallOp([0], [build.mixed_size(number_of_elements(others))], [1], starts)
    variable, *shared = loop.body.arguments
    with ir.InsertionPoint(loop.body):
        row = Row(item.value, dim, tuple(delinearize(build, variable, others)))
        slices = [_row_slice(build, meta, row) for meta in packed]
        parts = [
            tensor.extract_slice(_row_type(meta, dim), value, *place)
            for meta, value, place in zip(packed, shared, slices, strict=True)
        ]
        written = body(row, parts)
        with ir.InsertionPoint(scf.InParallelOp().region.blocks[0]):
            for part, value, place in zip(written, shared, slices, strict=True):
                tensor.ParallelInsertSliceOp(part, value, *place)
    return [
        reshape(build, Tensor(value, have), want.shape)
        for value, have, want in zip(loop.results, packed, metas, strict=True)
    ]


def _told_apart(metas: Sequence[TensorMeta]) -> list[TensorMeta]:
    """Append units to shapes until all types differ.

    Empty tensors of one type count as equal and are merged into one; bufferization then gives two results one buffer.
    """
    found: list[TensorMeta] = []
    for meta in metas:
        while meta in found:
            meta = meta.with_shape((*meta.shape, ONE))
        found.append(meta)
    return found


def _row_type(meta: TensorMeta, dim: int) -> Any:
    return Builder.type_of(meta.with_shape(meta.shape[dim : dim + 1]))


def _row_slice(build: Builder, meta: TensorMeta, row: Row) -> tuple[Any, ...]:
    """Return the offsets, sizes and strides of a row, as slice ops take them."""
    dynamic = ir.ShapedType.get_dynamic_size()
    rank, units = len(row.others) + 1, [0] * (meta.rank - len(row.others) - 1)
    offsets = [0 if dim == row.dim else dynamic for dim in range(rank)] + units
    length, static = split_static(build, meta.shape[row.dim : row.dim + 1])
    sizes = [static[0] if dim == row.dim else 1 for dim in range(meta.rank)]
    return list(row.others), length, [], offsets, sizes, [1] * meta.rank


def last_index(build: Builder, length: Expr) -> Any:
    """Return ``length - 1``, or 0 for an empty row."""
    last = length - 1
    return index_constant(max(last.constant, 0)) if last.is_constant else build.size(Expr.max(last, ZERO))
