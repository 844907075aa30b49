"""Running results, sorting and searching."""

from typing import Any

from stepwell.dialects.graph import ordering as ops
from stepwell.dialects.graph.base import normalize_dim
from stepwell.dialects.graph.indexing import GatherOp
from stepwell.dialects.graph.sizes import number_of_elements
from stepwell.dialects.graph.types import ONE
from stepwell.frontends.torch.converters.shape import rank_of, reshape, select, shape_of, slice_along
from stepwell.frontends.torch.importer import Importer, Value
from stepwell.frontends.torch.promotion import promoted_dtype
from stepwell.frontends.torch.registry import converts
from stepwell.support.dtypes import DType


def _along(importer: Importer, op: Any, operand: Value, dim: int, **fields: Any) -> Any:
    """Build an op along one dimension; a 0-d operand is a row of one element on the way."""
    shape = shape_of(operand)
    row = operand if shape else reshape(importer, operand, [ONE])
    found = importer.emit(op, row, dim=normalize_dim(dim, len(shape)), **fields)
    if shape:
        return found
    return [reshape(importer, item, []) for item in found] if isinstance(found, list) else reshape(importer, found, [])


@converts("aten.cumsum.default")
def convert_cumsum(importer: Importer, node: Any, operand: Value, dim: int, *, dtype: Any = None) -> Value:
    return _along(importer, ops.CumsumOp, importer.convert(operand, importer.meta(node).dtype), dim)


@converts("aten.cumprod.default")
def convert_cumprod(importer: Importer, node: Any, operand: Value, dim: int, *, dtype: Any = None) -> Value:
    return _along(importer, ops.CumprodOp, importer.convert(operand, importer.meta(node).dtype), dim)


@converts("aten.logcumsumexp.default")
def convert_logcumsumexp(importer: Importer, node: Any, operand: Value, dim: int) -> Value:
    return _along(importer, ops.LogcumsumexpOp, operand, dim)


@converts("aten.cummax.default")
def convert_cummax(importer: Importer, node: Any, operand: Value, dim: int) -> list[Value]:
    found: list[Value] = _along(importer, ops.CummaxOp, operand, dim)
    return found


@converts("aten.cummin.default")
def convert_cummin(importer: Importer, node: Any, operand: Value, dim: int) -> list[Value]:
    found: list[Value] = _along(importer, ops.CumminOp, operand, dim)
    return found


# -- sorting -------------------------------------------------------------------------------------------------------


def sort(importer: Importer, operand: Value, dim: int, descending: bool) -> list[Value]:
    """Return the sorted elements and the positions they come from; always stable."""
    found: list[Value] = _along(importer, ops.SortOp, operand, dim, descending=descending)
    return found


@converts("aten.sort.default")
def convert_sort(importer: Importer, node: Any, operand: Value, dim: int = -1, descending: bool = False) -> list[Value]:
    return sort(importer, operand, dim, descending)


@converts("aten.sort.stable")
def convert_stable_sort(
    importer: Importer, node: Any, operand: Value, *, stable: bool = True, dim: int = -1, descending: bool = False
) -> list[Value]:
    return sort(importer, operand, dim, descending)


@converts("aten.argsort.default")
def convert_argsort(importer: Importer, node: Any, operand: Value, dim: int = -1, descending: bool = False) -> Value:
    return sort(importer, operand, dim, descending)[1]


@converts("aten.argsort.stable")
def convert_stable_argsort(
    importer: Importer, node: Any, operand: Value, *, stable: bool, dim: int = -1, descending: bool = False
) -> Value:
    return sort(importer, operand, dim, descending)[1]


@converts("aten.topk.default")
def convert_topk(
    importer: Importer,
    node: Any,
    operand: Value,
    k: Any,
    dim: int = -1,
    largest: bool = True,
    sorted: bool = True,
) -> list[Value]:
    if not isinstance(k, int) and not k.is_constant:
        parts = sort(importer, operand, dim, descending=largest)
        return [slice_along(importer, part, normalize_dim(dim, rank_of(part)), 0, k) for part in parts]
    count = k if isinstance(k, int) else k.constant
    found: list[Value] = _along(importer, ops.TopkOp, operand, dim, k=count, largest=largest)
    return found


@converts("aten.kthvalue.default")
def convert_kthvalue(
    importer: Importer, node: Any, operand: Value, k: int, dim: int = -1, keepdim: bool = False
) -> list[Value]:
    if not rank_of(operand):
        return sort(importer, operand, dim, descending=False)
    place = normalize_dim(dim, rank_of(operand))
    shape = list(shape_of(operand))
    shape[place : place + 1] = [ONE] if keepdim else []
    parts = sort(importer, operand, place, descending=False)
    return [reshape(importer, select(importer, part, place, k - 1), shape) for part in parts]


@converts("aten.median.default", "aten.nanmedian.default")
def convert_median(importer: Importer, node: Any, operand: Value) -> Value:
    op = ops.NanmedianOp if "nanmedian" in str(node.target) else ops.MedianOp
    flat = reshape(importer, operand, [number_of_elements(shape_of(operand))])
    found: list[Value] = importer.emit(op, flat, dim=0)
    return found[0]


_STATISTICS = {"aten.median.dim": ops.MedianOp, "aten.nanmedian.dim": ops.NanmedianOp, "aten.mode.default": ops.ModeOp}


@converts(*_STATISTICS)
def convert_statistic(
    importer: Importer, node: Any, operand: Value, dim: int = -1, keepdim: bool = False
) -> list[Value]:
    rank = rank_of(operand)
    row = operand if rank else reshape(importer, operand, [ONE])
    found: list[Value] = importer.emit(_STATISTICS[str(node.target)], row, dim=normalize_dim(dim, rank))
    shape = [importer.tensor_meta(item).shape for item in node.meta["val"]]
    return [reshape(importer, item, wanted) for item, wanted in zip(found, shape, strict=True)]


# -- searching -----------------------------------------------------------------------------------------------------


def _search(
    importer: Importer,
    node: Any,
    boundaries: Value,
    values: Any,
    *,
    right: bool,
    out_int32: bool,
    sorter: Value | None = None,
) -> Value:
    """Compare in the dtype that torch promotes both to; the first two arguments of ``node`` are what is given."""
    dtype = promoted_dtype(*node.args[:2])
    boundaries, wanted = importer.convert(boundaries, dtype), importer.operand(values, dtype)
    if sorter is not None:
        boundaries = importer.emit(GatherOp, boundaries, sorter, dim=rank_of(boundaries) - 1)
    found = importer.emit(ops.SearchsortedOp, boundaries, wanted, right=right)
    return importer.convert(found, DType.INT32) if out_int32 else found


@converts("aten.searchsorted.Tensor", "aten.searchsorted.Scalar")
def convert_searchsorted(
    importer: Importer,
    node: Any,
    boundaries: Value,
    values: Any,
    *,
    out_int32: bool = False,
    right: bool = False,
    side: str | None = None,
    sorter: Value | None = None,
) -> Value:
    to_right = right or side == "right"
    return _search(importer, node, boundaries, values, right=to_right, out_int32=out_int32, sorter=sorter)


@converts("aten.bucketize.Tensor", "aten.bucketize.Scalar")
def convert_bucketize(
    importer: Importer, node: Any, values: Any, boundaries: Value, *, out_int32: bool = False, right: bool = False
) -> Value:
    return _search(importer, node, boundaries, values, right=right, out_int32=out_int32)
