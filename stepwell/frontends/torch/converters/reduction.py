"""Reductions."""

from collections.abc import Sequence
from typing import Any

from stepwell.dialects.graph import reduction as ops
from stepwell.dialects.graph.base import normalize_dim
from stepwell.dialects.graph.shape import ReshapeOp
from stepwell.dialects.graph.types import ONE, meta_of
from stepwell.dialects.graph.unary import SqrtOp
from stepwell.frontends.torch.importer import Importer, Value
from stepwell.frontends.torch.registry import converts
from stepwell.support.dtypes import DType
from stepwell.support.symbolic import Expr


def all_dims(operand: Value, dims: int | Sequence[int] | None) -> list[int]:
    """Return dimensions counted from the front and sorted; none given means all of them."""
    rank = meta_of(operand).rank
    listed = [dims] if isinstance(dims, int) else list(dims or range(rank))
    return sorted(normalize_dim(dim, rank) for dim in listed) if rank else []


def reduce(
    importer: Importer, op: Any, operand: Value, dims: int | Sequence[int] | None, keepdim: bool, **fields: Any
) -> Value:
    """Build a reduction over ``dims`` (all where none are given)."""
    return importer.emit(op, operand, dims=all_dims(operand, dims), keepdim=keepdim, **fields)


@converts("aten.sum.default", "aten.sum.dim_IntList")
def convert_sum(
    importer: Importer, node: Any, operand: Value, dim: Any = None, keepdim: bool = False, *, dtype: Any = None
) -> Value:
    return reduce(importer, ops.SumOp, importer.convert(operand, importer.meta(node).dtype), dim, keepdim)


@converts("aten.prod.default", "aten.prod.dim_int")
def convert_prod(
    importer: Importer, node: Any, operand: Value, dim: Any = None, keepdim: bool = False, *, dtype: Any = None
) -> Value:
    return reduce(importer, ops.ProdOp, importer.convert(operand, importer.meta(node).dtype), dim, keepdim)


@converts("aten.mean.default", "aten.mean.dim")
def convert_mean(
    importer: Importer, node: Any, operand: Value, dim: Any = None, keepdim: bool = False, *, dtype: Any = None
) -> Value:
    return reduce(importer, ops.MeanOp, importer.convert(operand, importer.meta(node).dtype), dim, keepdim)


@converts("aten.amax.default", "aten.max.default")
def convert_amax(importer: Importer, node: Any, operand: Value, dim: Any = None, keepdim: bool = False) -> Value:
    return reduce(importer, ops.AmaxOp, operand, dim, keepdim)


@converts("aten.amin.default", "aten.min.default")
def convert_amin(importer: Importer, node: Any, operand: Value, dim: Any = None, keepdim: bool = False) -> Value:
    return reduce(importer, ops.AminOp, operand, dim, keepdim)


def _logical(importer: Importer, op: Any, node: Any, operand: Value, dim: Any, keepdim: bool) -> Value:
    # An empty list of dimensions means no dimension for any and all, unlike for the other reductions.
    if isinstance(dim, list) and not dim:
        result = importer.convert(operand, DType.BOOL)
    else:
        result = reduce(importer, op, operand, dim, keepdim)
    # torch keeps uint8 for these two, as it did before it had bool.
    return importer.convert(result, importer.meta(node).dtype)


@converts("aten.any.default", "aten.any.dim", "aten.any.dims")
def convert_any(importer: Importer, node: Any, operand: Value, dim: Any = None, keepdim: bool = False) -> Value:
    return _logical(importer, ops.AnyOp, node, operand, dim, keepdim)


@converts("aten.all.default", "aten.all.dim", "aten.all.dims")
def convert_all(importer: Importer, node: Any, operand: Value, dim: Any = None, keepdim: bool = False) -> Value:
    return _logical(importer, ops.AllOp, node, operand, dim, keepdim)


def _correction(unbiased: bool, correction: float | None) -> float:
    return float(correction) if correction is not None else float(unbiased)


def _variance(importer: Importer, operand: Value, dim: Any, correction: float, keepdim: bool) -> Value:
    return reduce(importer, ops.VarOp, operand, dim, keepdim, correction=correction)


@converts("aten.var.default", "aten.var.dim", "aten.std.default", "aten.std.dim")
def convert_var(importer: Importer, node: Any, operand: Value, *args: Any, **options: Any) -> Value:
    """``(unbiased)`` or ``(dim, unbiased, keepdim)``."""
    given = list(args)
    dim = given.pop(0) if given and not isinstance(given[0], bool) else options.get("dim")
    unbiased = given.pop(0) if given else options.get("unbiased", True)
    keepdim = given.pop(0) if given else options.get("keepdim", False)
    result = _variance(importer, operand, dim, float(unbiased), keepdim)
    return importer.emit(SqrtOp, result) if ".std." in str(node.target) else result


@converts("aten.var.correction", "aten.std.correction")
def convert_var_correction(
    importer: Importer,
    node: Any,
    operand: Value,
    dim: Any = None,
    *,
    correction: float | None = None,
    keepdim: bool = False,
) -> Value:
    result = _variance(importer, operand, dim, _correction(True, correction), keepdim)
    return importer.emit(SqrtOp, result) if ".std." in str(node.target) else result


@converts("aten.var_mean.correction")
def convert_var_mean(
    importer: Importer,
    node: Any,
    operand: Value,
    dim: Any = None,
    *,
    correction: float | None = None,
    keepdim: bool = False,
) -> list[Value]:
    variance = _variance(importer, operand, dim, _correction(True, correction), keepdim)
    return [variance, reduce(importer, ops.MeanOp, operand, dim, keepdim)]


@converts("aten.max.dim", "aten.min.dim")
def convert_search(importer: Importer, node: Any, operand: Value, dim: int, keepdim: bool = False) -> list[Value]:
    op = ops.MaxDimOp if ".max." in str(node.target) else ops.MinDimOp
    found: list[Value] = importer.emit(op, operand, dim=normalize_dim(dim, meta_of(operand).rank), keepdim=keepdim)
    return found


@converts("aten.argmax.default", "aten.argmin.default")
def convert_position(
    importer: Importer, node: Any, operand: Value, dim: int | None = None, keepdim: bool = False
) -> Value:
    op = ops.MaxDimOp if "argmax" in str(node.target) else ops.MinDimOp
    meta = meta_of(operand)
    if dim is not None:
        return importer.emit(op, operand, dim=normalize_dim(dim, meta.rank), keepdim=keepdim)[1]
    total = Expr.const(1)
    for size in meta.shape:
        total = total * size
    flat = importer.emit(ReshapeOp, operand, sizes=[total])
    position = importer.emit(op, flat, dim=0, keepdim=False)[1]
    return importer.emit(ReshapeOp, position, sizes=[ONE] * meta.rank) if keepdim else position
