"""Ops along one dimension in which the order of the elements counts: running results, sorting, searching.

Sorting takes NaN for the largest value, as torch does.
"""

from typing import Any, ClassVar

import numpy as np

from stepwell.dialects.definition import Operand, Pure, Result
from stepwell.dialects.graph.base import GraphOperation, Tensor, same_dtype
from stepwell.dialects.graph.sizes import check_dim, flag_of, integer_of, provably_differ
from stepwell.dialects.graph.types import TensorMeta, meta_of
from stepwell.support.bindings import ir
from stepwell.support.dtypes import DType
from stepwell.support.symbolic import Expr


class Scan(GraphOperation):
    """Base of the running results along ``dim``: element k combines elements 0 to k; shape and dtype stay."""

    operand: Operand[Tensor]
    dim: ir.IntegerAttr
    result: Result[Tensor]

    @classmethod
    def infer(cls, op: Any) -> tuple[TensorMeta, ...]:
        """The operand's shape and dtype."""
        operand = meta_of(op.operand)
        check_dim(integer_of(op.dim), operand.rank)
        return (operand,)


def _wide(array: Any) -> Any:
    """Return a float array as float64, in which running results hardly round; other arrays as they are."""
    return array.astype(np.float64) if DType.from_numpy(array.dtype).is_float else array


class CumsumOp(Scan, name="cumsum", traits=[Pure]):
    """Running sums; integers wrap."""

    @classmethod
    def evaluate(cls, op: Any, *arrays: Any) -> Any:
        array = arrays[0]
        return np.cumsum(_wide(array), axis=integer_of(op.dim), dtype=_wide(array).dtype).astype(array.dtype)


class CumprodOp(Scan, name="cumprod", traits=[Pure]):
    """Running products; integers wrap."""

    @classmethod
    def evaluate(cls, op: Any, *arrays: Any) -> Any:
        array = arrays[0]
        return np.cumprod(_wide(array), axis=integer_of(op.dim), dtype=_wide(array).dtype).astype(array.dtype)


class LogcumsumexpOp(Scan, name="logcumsumexp", traits=[Pure]):
    """Logarithms of the running sums of exponentials; floats."""

    @classmethod
    def infer(cls, op: Any) -> tuple[TensorMeta, ...]:
        """The operand's shape and dtype."""
        (meta,) = super().infer(op)
        if not meta.dtype.is_float:
            raise ValueError(f"needs a float operand, got {meta}")
        return (meta,)

    @classmethod
    def evaluate(cls, op: Any, *arrays: Any) -> Any:
        array = arrays[0]
        return np.logaddexp.accumulate(_wide(array), axis=integer_of(op.dim)).astype(array.dtype)


class ScanExtremum(GraphOperation):
    """Base of the running extrema: values, and the int64 positions where they stand (of equal ones the last)."""

    operand: Operand[Tensor]
    dim: ir.IntegerAttr
    values: Result[Tensor]
    indices: Result[Tensor]

    better: ClassVar[Any] = None

    @classmethod
    def infer(cls, op: Any) -> tuple[TensorMeta, ...]:
        """The operand's shape, twice."""
        operand = meta_of(op.operand)
        check_dim(integer_of(op.dim), operand.rank)
        return operand, operand.with_dtype(DType.INT64)

    @classmethod
    def evaluate(cls, op: Any, *arrays: Any) -> Any:
        rows = np.moveaxis(arrays[0], integer_of(op.dim), 0)
        values, indices = rows.copy(), np.zeros(rows.shape, dtype=np.int64)
        for k in range(1, len(rows)):
            taken = np.isnan(rows[k]) if DType.from_numpy(rows.dtype).is_float else False
            # A comparison with NaN is false, so that NaN stays.
            taken = taken | cls.better(rows[k], values[k - 1])
            values[k] = np.where(taken, rows[k], values[k - 1])
            indices[k] = np.where(taken, k, indices[k - 1])
        back = integer_of(op.dim)
        return np.moveaxis(values, 0, back), np.moveaxis(indices, 0, back)


class CummaxOp(ScanExtremum, name="cummax", traits=[Pure]):
    """Running maxima; NaN wins."""

    better = staticmethod(np.greater_equal)


class CumminOp(ScanExtremum, name="cummin", traits=[Pure]):
    """Running minima; NaN wins."""

    better = staticmethod(np.less_equal)


def argsort(array: Any, axis: int, descending: bool) -> Any:
    """Return the positions that sort ``array`` stably, NaN taken for the largest value."""
    if DType.from_numpy(array.dtype).is_float:
        array = array.astype(np.float64)
    if not descending:
        return np.argsort(array, axis=axis, kind="stable")
    # Reversed twice, the ascending order of equal elements stays.
    backwards = np.argsort(np.flip(array, axis), axis=axis, kind="stable")
    return array.shape[axis] - 1 - np.flip(backwards, axis)


class SortOp(GraphOperation, name="sort", traits=[Pure]):
    """The elements in order along ``dim``, and the int64 positions they come from; equal ones keep their order."""

    operand: Operand[Tensor]
    dim: ir.IntegerAttr
    descending: ir.BoolAttr
    values: Result[Tensor]
    indices: Result[Tensor]

    @classmethod
    def infer(cls, op: Any) -> tuple[TensorMeta, ...]:
        """The operand's shape, twice."""
        operand = meta_of(op.operand)
        check_dim(integer_of(op.dim), operand.rank)
        return operand, operand.with_dtype(DType.INT64)

    @classmethod
    def evaluate(cls, op: Any, *arrays: Any) -> Any:
        order = argsort(arrays[0], integer_of(op.dim), flag_of(op.descending))
        return np.take_along_axis(arrays[0], order, integer_of(op.dim)), order


class TopkOp(GraphOperation, name="topk", traits=[Pure]):
    """The ``k`` largest elements along ``dim`` (or smallest), in order, and the int64 positions they come from."""

    operand: Operand[Tensor]
    k: ir.IntegerAttr
    dim: ir.IntegerAttr
    largest: ir.BoolAttr
    values: Result[Tensor]
    indices: Result[Tensor]

    @classmethod
    def infer(cls, op: Any) -> tuple[TensorMeta, ...]:
        """``k`` in place of the size, twice."""
        operand, dim, k = meta_of(op.operand), integer_of(op.dim), integer_of(op.k)
        check_dim(dim, operand.rank)
        room = operand.shape[dim] - k
        if k < 0 or (room.is_constant and room.constant < 0):
            raise ValueError(f"cannot take {k} of {operand.shape[dim]} elements")
        result = operand.with_shape((*operand.shape[:dim], Expr.const(k), *operand.shape[dim + 1 :]))
        return result, result.with_dtype(DType.INT64)

    @classmethod
    def evaluate(cls, op: Any, *arrays: Any) -> Any:
        dim = integer_of(op.dim)
        order = argsort(arrays[0], dim, flag_of(op.largest))
        order = order[(*[slice(None)] * dim, slice(integer_of(op.k)))]
        return np.take_along_axis(arrays[0], order, dim), order


class OrderStatistic(GraphOperation):
    """Base of the ops that pick one element per row along ``dim``, which goes: values, and int64 positions."""

    operand: Operand[Tensor]
    dim: ir.IntegerAttr
    values: Result[Tensor]
    indices: Result[Tensor]

    @classmethod
    def infer(cls, op: Any) -> tuple[TensorMeta, ...]:
        """The operand's shape without ``dim``, twice."""
        operand, dim = meta_of(op.operand), integer_of(op.dim)
        check_dim(dim, operand.rank)
        if operand.shape[dim] == Expr.const(0):
            raise ValueError(f"dimension {dim} of {operand} has no elements")
        result = operand.with_shape((*operand.shape[:dim], *operand.shape[dim + 1 :]))
        return result, result.with_dtype(DType.INT64)

    @classmethod
    def evaluate(cls, op: Any, *arrays: Any) -> Any:
        dim = integer_of(op.dim)
        order = np.moveaxis(argsort(arrays[0], dim, False), dim, -1)
        rows = np.take_along_axis(np.moveaxis(arrays[0], dim, -1), order, -1)
        place = np.asarray(cls._place(rows))[..., None]
        return np.take_along_axis(rows, place, -1)[..., 0], np.take_along_axis(order, place, -1)[..., 0]

    @classmethod
    def _place(cls, rows: Any) -> Any:
        """Return which element of each sorted row is picked."""
        raise NotImplementedError


def _count_numbers(rows: Any) -> Any:
    """Return how many elements of each row are no NaN."""
    if DType.from_numpy(rows.dtype).is_float:
        return np.sum(~np.isnan(rows), axis=-1)
    return np.full(rows.shape[:-1], rows.shape[-1])


class MedianOp(OrderStatistic, name="median", traits=[Pure]):
    """The lower median; NaN where there is one."""

    @classmethod
    def _place(cls, rows: Any) -> Any:
        last = rows.shape[-1] - 1
        return np.where(_count_numbers(rows) <= last, last, last // 2)


class NanmedianOp(OrderStatistic, name="nanmedian", traits=[Pure]):
    """The lower median of the elements that are no NaN; NaN where all are."""

    @classmethod
    def _place(cls, rows: Any) -> Any:
        return np.maximum(_count_numbers(rows) - 1, 0) // 2


class ModeOp(OrderStatistic, name="mode", traits=[Pure]):
    """The most frequent value, of equally frequent ones the smallest, and its last position."""

    @classmethod
    def _place(cls, rows: Any) -> Any:
        places = []
        for row in rows.reshape(-1, rows.shape[-1]):
            ends = np.append(np.flatnonzero(row[1:] != row[:-1]), len(row) - 1)
            places.append(ends[np.argmax(np.diff(ends, prepend=-1))])
        return np.array(places, dtype=np.int64).reshape(rows.shape[:-1])


class SearchsortedOp(GraphOperation, name="searchsorted", traits=[Pure]):
    """Where each of ``values`` would go in ``boundaries``, sorted along its last dimension; int64.

    The place is the first whose element is not less than the value, with ``right`` the first whose element is greater.
    A 1-d ``boundaries`` serves all values; else the leading dimensions of both agree.  Serves ``bucketize`` too.
    """

    boundaries: Operand[Tensor]
    values: Operand[Tensor]
    right: ir.BoolAttr
    result: Result[Tensor]

    @classmethod
    def infer(cls, op: Any) -> tuple[TensorMeta, ...]:
        """The shape of ``values``."""
        boundaries, values = meta_of(op.boundaries), meta_of(op.values)
        same_dtype(cls.OPERATION_NAME, boundaries, values)
        if boundaries.rank != 1 and (
            boundaries.rank != values.rank
            or boundaries.rank == 0
            or any(map(provably_differ, boundaries.shape[:-1], values.shape[:-1]))
        ):
            raise ValueError(f"boundaries {boundaries} must be 1-d, or fit values {values} but for the last dimension")
        return (values.with_dtype(DType.INT64),)

    @classmethod
    def evaluate(cls, op: Any, *arrays: Any) -> Any:
        boundaries, values = (_wide(array) for array in arrays)
        reached = np.greater if flag_of(op.right) else np.greater_equal
        # Counting what is not reached yet puts a NaN behind all elements, as torch's search does.
        rows = boundaries if boundaries.ndim == 1 else boundaries[..., None, :]
        return np.sum(~reached(rows, values[..., None]), axis=-1, dtype=np.int64)
