"""Reads and writes at positions given by tensors."""

from collections.abc import Sequence
from typing import Any

from stepwell.dialects.graph import indexing as ops
from stepwell.dialects.graph import scatter as scatter_ops
from stepwell.dialects.graph.base import normalize_dim
from stepwell.dialects.graph.comparison import WhereOp
from stepwell.dialects.graph.creation import FullOp
from stepwell.dialects.graph.elementwise import AddOp, MulOp
from stepwell.dialects.graph.indexing import indexed_shape
from stepwell.dialects.graph.sizes import number_of_elements
from stepwell.dialects.graph.types import ONE, meta_of
from stepwell.frontends.torch.converters.creation import full_like
from stepwell.frontends.torch.converters.data_dependent import is_mask, true_where, unmasked
from stepwell.frontends.torch.converters.masks import fit_masks, written_places
from stepwell.frontends.torch.converters.shape import ZERO, expand, rank_of, reshape, shape_of
from stepwell.frontends.torch.importer import Importer, Value
from stepwell.frontends.torch.registry import converts
from stepwell.support.dtypes import DType
from stepwell.support.errors import ImportProgramError


def _as_vector(importer: Importer, value: Value) -> Value:
    """Return a 0-d tensor as one of one element; others as they are."""
    return value if rank_of(value) else reshape(importer, value, [ONE])


@converts("aten.embedding.default")
def convert_embedding(
    importer: Importer,
    node: Any,
    weight: Value,
    indices: Value,
    padding_idx: int = -1,
    scale_grad_by_freq: bool = False,
    sparse: bool = False,
) -> Value:
    # The other options speak of gradients.
    return importer.emit(ops.EmbeddingOp, weight, indices)


@converts("aten.one_hot.default")
def convert_one_hot(importer: Importer, node: Any, operand: Value, num_classes: int = -1) -> Value:
    if num_classes < 1:
        raise ImportProgramError(
            "'one_hot' without num_classes has a shape that depends on data", fix="pass num_classes"
        )
    return importer.emit(ops.OneHotOp, operand, classes=num_classes)


@converts("aten.index_select.default")
def convert_index_select(importer: Importer, node: Any, operand: Value, dim: int, index: Value) -> Value:
    rank = rank_of(operand)
    found = importer.emit(
        ops.IndexSelectOp,
        _as_vector(importer, operand),
        _as_vector(importer, index),
        dim=normalize_dim(dim, rank),
    )
    return found if rank else reshape(importer, found, [])


@converts("aten.gather.default")
def convert_gather(
    importer: Importer, node: Any, operand: Value, dim: int, index: Value, *, sparse_grad: bool = False
) -> Value:
    shape = shape_of(index)
    if number_of_elements(shape) == ZERO:
        # torch looks at the dtype and the rank of an index only where it has elements.
        return importer.emit(FullOp, importer.constant(0, meta_of(operand).dtype), sizes=shape)
    found = importer.emit(
        ops.GatherOp,
        _as_vector(importer, operand),
        _as_vector(importer, index),
        dim=normalize_dim(dim, rank_of(operand)),
    )
    return reshape(importer, found, shape)


@converts("aten.take.default")
def convert_take(importer: Importer, node: Any, operand: Value, index: Value) -> Value:
    flat = reshape(importer, operand, [number_of_elements(shape_of(operand))])
    return importer.emit(ops.IndexOp, flat, indices=[index], dims=[0])


# -- index and index_put -------------------------------------------------------------------------------------------


def _indices(importer: Importer, indices: Sequence[Value | None]) -> tuple[list[int], list[Value]]:
    """Return the indexed dimensions and their tensors."""
    dims = [dim for dim, index in enumerate(indices) if index is not None]
    tensors = [index for index in indices if index is not None]
    return dims, [importer.convert(index, DType.INT64) for index in tensors]


@converts("aten.index.Tensor")
def convert_index(importer: Importer, node: Any, operand: Value, indices: Sequence[Value | None]) -> Value:
    dims, tensors = _indices(importer, unmasked(importer, node, fit_masks(importer, operand, indices)))
    return importer.emit(ops.IndexOp, operand, indices=tensors, dims=dims)


@converts("aten.index_put.default")
def convert_index_put(
    importer: Importer,
    node: Any,
    operand: Value,
    indices: Sequence[Value | None],
    values: Value,
    accumulate: bool = False,
) -> Value:
    indices = fit_masks(importer, operand, indices)
    given = [dim for dim, index in enumerate(indices) if index is not None]
    if any(is_mask(indices[dim]) for dim in given):
        if len(given) == 1:
            written = _masked_put(importer, operand, given[0], indices, values, accumulate)
            if written is not None:
                return written
        indices = written_places(importer, operand, indices, values)
    dims, tensors = _indices(importer, indices)
    return _index_put(importer, operand, dims, tensors, values, accumulate)


def _masked_put(
    importer: Importer, operand: Value, first: int, indices: Sequence[Value | None], values: Value, accumulate: bool
) -> Value | None:
    """Write where a mask holds, the same values everywhere or one after another: what no shape depends on.

    Returns:
        None for values one after another behind other dimensions.
    """
    meta = meta_of(operand)
    mask = true_where(importer, indices[first])
    after = meta.rank - first - rank_of(mask)
    aligned = reshape(importer, mask, [*[ONE] * first, *shape_of(mask), *[ONE] * after])
    wanted = importer.convert(values, meta.dtype)
    while rank_of(wanted) > after and shape_of(wanted)[0] == ONE:
        wanted = reshape(importer, wanted, shape_of(wanted)[1:])
    if rank_of(wanted) > after:
        if first:
            return None
        # One row of values for each true element of the mask, in order.
        wanted = expand(
            importer, wanted, (*shape_of(wanted)[: rank_of(wanted) - after], *meta.shape[meta.rank - after :])
        )
        start = full_like(importer, operand, 0, meta.dtype) if accumulate else operand
        wanted = importer.emit(scatter_ops.MaskedScatterOp, start, expand(importer, aligned, meta.shape), wanted)
    if accumulate:
        wanted = importer.emit(AddOp, operand, wanted)
    return importer.emit(WhereOp, aligned, wanted, operand)


def _index_put(
    importer: Importer, operand: Value, dims: list[int], indices: list[Value], values: Value, accumulate: bool
) -> Value:
    meta = meta_of(operand)
    wanted = importer.convert(values, meta.dtype)
    target, _, _ = indexed_shape(meta.shape, dims, [shape_of(index) for index in indices])
    # Values may have more units in front than the target has dimensions.
    extra = rank_of(wanted) - len(target)
    if extra > 0:
        wanted = reshape(importer, wanted, shape_of(wanted)[extra:])
    return importer.emit(ops.IndexPutOp, operand, wanted, indices=indices, dims=dims, accumulate=accumulate)


@converts("aten.put.default")
def convert_put(
    importer: Importer, node: Any, operand: Value, index: Value, source: Value, accumulate: bool = False
) -> Value:
    shape = shape_of(operand)
    flat = reshape(importer, operand, [number_of_elements(shape)])
    values = reshape(importer, source, shape_of(index))
    return reshape(importer, _index_put(importer, flat, [0], [index], values, accumulate), shape)


@converts("aten.index_add.default")
def convert_index_add(
    importer: Importer, node: Any, operand: Value, dim: int, index: Value, source: Value, *, alpha: Any = 1
) -> Value:
    dtype = meta_of(operand).dtype
    if alpha != 1:
        source = importer.emit(MulOp, source, importer.constant(alpha, dtype))
    return _write_parts(importer, operand, dim, index, source, "sum")


@converts("aten.index_copy.default")
def convert_index_copy(importer: Importer, node: Any, operand: Value, dim: int, index: Value, source: Value) -> Value:
    return _write_parts(importer, operand, dim, index, source, None)


@converts("aten.index_reduce.default")
def convert_index_reduce(
    importer: Importer,
    node: Any,
    operand: Value,
    dim: int,
    index: Value,
    source: Value,
    reduce: str,
    *,
    include_self: bool = True,
) -> Value:
    return _write_parts(importer, operand, dim, index, source, reduce, include_self)


def _write_parts(
    importer: Importer,
    operand: Value,
    dim: int,
    index: Value,
    source: Value,
    reduce: str | None,
    include_self: bool = True,
) -> Value:
    """Write the parts of ``source`` along ``dim`` to the positions ``index``, which must not be negative."""
    shape = shape_of(operand)
    vector, line = _as_vector(importer, operand), _as_vector(importer, index)
    place = normalize_dim(dim, len(shape))
    src = reshape(importer, source, [ONE]) if not rank_of(source) else source
    column = [ONE] * rank_of(vector)
    column[place] = shape_of(line)[0]
    spread = expand(importer, reshape(importer, line, column), shape_of(src))
    return reshape(importer, _scatter(importer, vector, place, spread, src, reduce, include_self), shape)


@converts("aten.index_fill.int_Scalar", "aten.index_fill.int_Tensor")
def convert_index_fill(importer: Importer, node: Any, operand: Value, dim: int, index: Value, value: Any) -> Value:
    meta = meta_of(operand)
    vector = _as_vector(importer, operand)
    wanted = importer.operand(value, meta.dtype)
    place = normalize_dim(dim, meta.rank)
    filled = _index_put(importer, vector, [place], [_as_vector(importer, index)], wanted, accumulate=False)
    return reshape(importer, filled, meta.shape)


# -- scatter -------------------------------------------------------------------------------------------------------

_REDUCTIONS = {"add": "sum", "multiply": "prod"}


def _scatter(
    importer: Importer,
    operand: Value,
    dim: int,
    index: Value,
    src: Value,
    reduce: str | None,
    include_self: bool = True,
) -> Value:
    """Write ``src`` along ``dim``; a 0-d ``src`` serves every index.  0-d operands become vectors on the way."""
    meta = meta_of(operand)
    if number_of_elements(shape_of(index)) == ZERO:
        # As for gather.
        return operand
    operands = (
        _as_vector(importer, operand),
        _as_vector(importer, index),
        src if rank_of(src) == 0 and rank_of(index) else _as_vector(importer, src),
    )
    place = normalize_dim(dim, meta.rank)
    if reduce is None:
        written = importer.emit(scatter_ops.ScatterOp, *operands, dim=place)
    else:
        written = importer.emit(
            scatter_ops.ScatterReduceOp, *operands, dim=place, reduce=reduce, include_self=include_self
        )
    return reshape(importer, written, meta.shape)


@converts("aten.scatter.src", "aten.scatter.reduce")
def convert_scatter(
    importer: Importer, node: Any, operand: Value, dim: int, index: Value, src: Value, *, reduce: str = ""
) -> Value:
    return _scatter(importer, operand, dim, index, src, _REDUCTIONS.get(reduce))


@converts("aten.scatter.value", "aten.scatter.value_reduce")
def convert_scatter_value(
    importer: Importer, node: Any, operand: Value, dim: int, index: Value, value: Any, *, reduce: str = ""
) -> Value:
    src = importer.operand(value, meta_of(operand).dtype)
    return _scatter(importer, operand, dim, index, src, _REDUCTIONS.get(reduce))


@converts("aten.scatter_add.default")
def convert_scatter_add(importer: Importer, node: Any, operand: Value, dim: int, index: Value, src: Value) -> Value:
    return _scatter(importer, operand, dim, index, src, "sum")


@converts("aten.scatter_reduce.two")
def convert_scatter_reduce(
    importer: Importer,
    node: Any,
    operand: Value,
    dim: int,
    index: Value,
    src: Value,
    reduce: str,
    *,
    include_self: bool = True,
) -> Value:
    return _scatter(importer, operand, dim, index, src, reduce, include_self)


@converts("aten.masked_scatter.default")
def convert_masked_scatter(importer: Importer, node: Any, operand: Value, mask: Value, source: Value) -> Value:
    meta = importer.meta(node)
    return importer.emit(
        scatter_ops.MaskedScatterOp,
        expand(importer, operand, meta.shape),
        expand(importer, mask, meta.shape),
        source,
    )
