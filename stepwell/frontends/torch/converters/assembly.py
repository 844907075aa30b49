"""Concatenation, padding and the writing of parts."""

from collections.abc import Sequence
from typing import Any

from stepwell.dialects.definition import MIXED_LIMIT
from stepwell.dialects.graph import assembly as ops
from stepwell.dialects.graph.base import normalize_dim
from stepwell.dialects.graph.comparison import WhereOp
from stepwell.dialects.graph.shape import UnfoldOp
from stepwell.dialects.graph.sizes import number_of_elements
from stepwell.dialects.graph.types import ONE, Shape, meta_of
from stepwell.frontends.torch.converters.creation import full_like
from stepwell.frontends.torch.converters.shape import (
    ZERO,
    Size,
    permute,
    rank_of,
    reshape,
    shape_of,
    slice_along,
    slice_bounds,
)
from stepwell.frontends.torch.importer import Importer, Value
from stepwell.frontends.torch.registry import converts
from stepwell.support.dtypes import DType
from stepwell.support.symbolic import Expr


def cat(importer: Importer, tensors: Sequence[Value], dim: int) -> Value:
    """Concatenate any number of tensors; an op takes a limited number, so many of them nest."""
    tensors = list(tensors)
    while len(tensors) > 1:
        groups = [tensors[i : i + MIXED_LIMIT] for i in range(0, len(tensors), MIXED_LIMIT)]
        tensors = [
            group[0] if len(group) == 1 else importer.emit(ops.CatOp, tensors=group, dim=dim) for group in groups
        ]
    return tensors[0]


@converts("aten.cat.default")
def convert_cat(importer: Importer, node: Any, tensors: Sequence[Value], dim: int = 0) -> Value:
    meta = importer.meta(node)
    # torch lets 1-d tensors without elements stand among tensors of any rank.
    kept = [item for item in tensors if rank_of(item) == meta.rank and (meta.rank == 1 or shape_of(item) != (ZERO,))]
    wanted = [importer.convert(item, meta.dtype) for item in kept]
    return cat(importer, wanted, normalize_dim(dim, meta.rank))


@converts("aten.stack.default")
def convert_stack(importer: Importer, node: Any, tensors: Sequence[Value], dim: int = 0) -> Value:
    meta = importer.meta(node)
    place = normalize_dim(dim, meta.rank)
    rows = [importer.convert(item, meta.dtype) for item in tensors]
    shape = shape_of(rows[0])
    return cat(importer, [reshape(importer, row, [*shape[:place], ONE, *shape[place:]]) for row in rows], place)


@converts("aten.roll.default")
def convert_roll(
    importer: Importer, node: Any, operand: Value, shifts: Sequence[Size], dims: Sequence[int] = ()
) -> Value:
    shape = shape_of(operand)
    if not shape:
        return operand
    if not dims:
        flat = reshape(importer, operand, [number_of_elements(shape)])
        return reshape(importer, _rolled(importer, flat, shifts[0], 0), shape)
    for shift, dim in zip(shifts, dims, strict=True):
        operand = _rolled(importer, operand, shift, normalize_dim(dim, len(shape)))
    return operand


def _rolled(importer: Importer, operand: Value, shift: Size, dim: int) -> Value:
    size = shape_of(operand)[dim]
    if size in (ZERO, ONE):
        return operand
    cut = size - Expr.of(shift) % size
    if cut == size:
        return operand
    parts = [slice_along(importer, operand, dim, cut, size), slice_along(importer, operand, dim, ZERO, cut)]
    return cat(importer, parts, dim)


# -- padding -------------------------------------------------------------------------------------------------------


def pads_by_dim(pads: Sequence[Size], rank: int) -> list[Expr]:
    """Return torch's pads, last dimension first, as low and high per dimension, first dimension first."""
    given = [(Expr.of(pads[i]), Expr.of(pads[i + 1])) for i in range(0, len(pads), 2)]
    per_dim = [(ZERO, ZERO)] * (rank - len(given)) + given[::-1]
    return [pad for pair in per_dim for pad in pair]


@converts("aten.constant_pad_nd.default")
def convert_constant_pad(importer: Importer, node: Any, operand: Value, pads: Sequence[Size], value: Any = 0) -> Value:
    dtype = meta_of(operand).dtype
    listed = pads_by_dim(pads, rank_of(operand))
    if all(pad == ZERO for pad in listed):
        return operand
    if isinstance(value, bool | int | float):
        return importer.emit(ops.ConstantPadOp, operand, pads=listed, value=_number_of(dtype, value))
    padded = padded_with_zeros(importer, operand, listed)
    whole = full_like(importer, operand, True, DType.BOOL)
    is_inside = importer.emit(ops.ConstantPadOp, whole, pads=listed, value=False)
    return importer.emit(WhereOp, is_inside, padded, importer.operand(value, dtype))


def padded_with_zeros(importer: Importer, operand: Value, pads: Sequence[Size]) -> Value:
    """Put zeros around a tensor: low and high numbers per dimension, the first one's first; negative ones crop."""
    return importer.emit(ops.ConstantPadOp, operand, pads=list(pads), value=_number_of(meta_of(operand).dtype, 0))


def _number_of(dtype: DType, value: Any) -> Any:
    return float(value) if dtype.is_float else bool(value) if dtype.kind == "bool" else int(value)


@converts("aten.reflection_pad1d.default", "aten.reflection_pad2d.default", "aten.reflection_pad3d.default")
def convert_reflection_pad(importer: Importer, node: Any, operand: Value, pads: Sequence[Size]) -> Value:
    return importer.emit(ops.ReflectionPadOp, operand, pads=pads_by_dim(pads, rank_of(operand)))


@converts("aten.replication_pad1d.default", "aten.replication_pad2d.default", "aten.replication_pad3d.default")
def convert_replication_pad(importer: Importer, node: Any, operand: Value, pads: Sequence[Size]) -> Value:
    return importer.emit(ops.ReplicationPadOp, operand, pads=pads_by_dim(pads, rank_of(operand)))


# -- writing parts -------------------------------------------------------------------------------------------------


@converts("aten.slice_scatter.default")
def convert_slice_scatter(
    importer: Importer,
    node: Any,
    operand: Value,
    src: Value,
    dim: int = 0,
    start: Size | None = None,
    end: Size | None = None,
    step: int = 1,
) -> Value:
    meta = meta_of(operand)
    dim = normalize_dim(dim, meta.rank)
    first, last = slice_bounds(importer, meta.shape[dim], start, end, None, step)
    part = importer.convert(src, meta.dtype)
    return importer.emit(ops.SliceScatterOp, operand, part, dim=dim, start=first, end=last, step=step)


@converts("aten.select_scatter.default")
def convert_select_scatter(importer: Importer, node: Any, operand: Value, src: Value, dim: int, index: Size) -> Value:
    meta = meta_of(operand)
    dim = normalize_dim(dim, meta.rank)
    place = Expr.of(index)
    if place.evaluate(importer.sizes.examples) < 0:
        place = place + meta.shape[dim]
    part = reshape(importer, importer.convert(src, meta.dtype), [*meta.shape[:dim], ONE, *meta.shape[dim + 1 :]])
    return importer.emit(ops.SliceScatterOp, operand, part, dim=dim, start=place, end=place + 1, step=1)


@converts("aten.diagonal_scatter.default")
def convert_diagonal_scatter(
    importer: Importer, node: Any, operand: Value, src: Value, offset: int = 0, dim1: int = 0, dim2: int = 1
) -> Value:
    meta = meta_of(operand)
    first, second = normalize_dim(dim1, meta.rank), normalize_dim(dim2, meta.rank)
    part = importer.convert(src, meta.dtype)
    return importer.emit(ops.DiagonalScatterOp, operand, part, offset=offset, dim1=first, dim2=second)


# -- blocks of channels and pixels ---------------------------------------------------------------------------------


def _leading(shape: Shape) -> list[Expr]:
    return list(shape[:-3])


@converts("aten.pixel_shuffle.default")
def convert_pixel_shuffle(importer: Importer, node: Any, operand: Value, factor: int) -> Value:
    shape = shape_of(operand)
    outer, (channels, rows, columns) = _leading(shape), shape[-3:]
    kept = channels // (factor * factor)
    blocks = reshape(importer, operand, [*outer, kept, factor, factor, rows, columns])
    base = len(outer)
    order = [*range(base + 1), base + 3, base + 1, base + 4, base + 2]
    return reshape(importer, permute(importer, blocks, order), [*outer, kept, rows * factor, columns * factor])


@converts("aten.pixel_unshuffle.default")
def convert_pixel_unshuffle(importer: Importer, node: Any, operand: Value, factor: int) -> Value:
    shape = shape_of(operand)
    outer, (channels, rows, columns) = _leading(shape), shape[-3:]
    small = [rows // factor, columns // factor]
    blocks = reshape(importer, operand, [*outer, channels, small[0], factor, small[1], factor])
    base = len(outer)
    order = [*range(base + 1), base + 2, base + 4, base + 1, base + 3]
    return reshape(importer, permute(importer, blocks, order), [*outer, channels * (factor * factor), *small])


@converts("aten.im2col.default")
def convert_im2col(
    importer: Importer,
    node: Any,
    operand: Value,
    kernel: Sequence[int],
    dilation: Sequence[int],
    padding: Sequence[int],
    stride: Sequence[int],
) -> Value:
    """``torch.nn.functional.unfold``: windows over rows and columns, then one column per window."""
    rank = rank_of(operand)
    pads = [0] * (2 * (rank - 2)) + [padding[0], padding[0], padding[1], padding[1]]
    windows = operand
    if any(padding):
        zero: Any = 0.0 if meta_of(operand).dtype.is_float else 0
        windows = importer.emit(ops.ConstantPadOp, operand, pads=pads, value=zero)
    for axis in range(2):
        windows = importer.emit(
            UnfoldOp, windows, dim=rank - 2 + axis, size=kernel[axis], step=stride[axis], dilation=dilation[axis]
        )
    base = rank - 2
    order = [*range(base), base + 2, base + 3, base, base + 1]
    return reshape(importer, permute(importer, windows, order), importer.meta(node).shape)
