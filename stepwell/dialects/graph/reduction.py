"""Reductions over chosen dimensions."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from stepwell.dialects.definition import Operand, Pure, Result
from stepwell.dialects.graph.base import GraphOperation, Tensor, integers
from stepwell.dialects.graph.types import ONE, Shape, TensorMeta, meta_of
from stepwell.support.bindings import ir
from stepwell.support.dtypes import DType


def reduced_shape(shape: Shape, dims: Sequence[int], keepdim: bool) -> Shape:
    """Return ``shape`` without ``dims``, or with size 1 in their place."""
    if keepdim:
        return tuple(ONE if dim in dims else size for dim, size in enumerate(shape))
    return tuple(size for dim, size in enumerate(shape) if dim not in dims)


class Reduction(GraphOperation):
    """Base of the reductions over ``dims`` (sorted, counted from the front); the result has the operand's dtype."""

    operand: Operand[Tensor]
    dims: ir.DenseI64ArrayAttr
    keepdim: ir.BoolAttr
    result: Result[Tensor]

    @classmethod
    def infer(cls, op: Any) -> tuple[TensorMeta, ...]:
        """The operand's shape without ``dims``, or with 1 in their place."""
        operand = meta_of(op.operand)
        dims = integers(op.dims)
        if sorted(set(dims)) != dims or any(not 0 <= dim < operand.rank for dim in dims):
            raise ValueError(f"dims {dims} must be increasing dimensions of a rank {operand.rank} tensor")
        return (operand.with_shape(reduced_shape(operand.shape, dims, ir.BoolAttr(op.keepdim).value)),)

    @classmethod
    def _options(cls, op: Any) -> dict[str, Any]:
        return {"axis": tuple(integers(op.dims)), "keepdims": ir.BoolAttr(op.keepdim).value}


class SumOp(Reduction, name="sum", traits=[Pure]):
    """Sum; integers wrap."""

    @classmethod
    def evaluate(cls, op: Any, *arrays: Any) -> Any:
        return np.sum(arrays[0], dtype=arrays[0].dtype, **cls._options(op))


class ProdOp(Reduction, name="prod", traits=[Pure]):
    """Product; integers wrap."""

    @classmethod
    def evaluate(cls, op: Any, *arrays: Any) -> Any:
        return np.prod(arrays[0], dtype=arrays[0].dtype, **cls._options(op))


class MeanOp(Reduction, name="mean", traits=[Pure]):
    """Arithmetic mean of floats; the mean of nothing is NaN."""

    @classmethod
    def evaluate(cls, op: Any, *arrays: Any) -> Any:
        return np.mean(arrays[0], **cls._options(op))


class AmaxOp(Reduction, name="amax", traits=[Pure]):
    """Largest element; NaN wins."""

    @classmethod
    def evaluate(cls, op: Any, *arrays: Any) -> Any:
        return np.max(arrays[0], **cls._options(op))


class AminOp(Reduction, name="amin", traits=[Pure]):
    """Smallest element; NaN wins."""

    @classmethod
    def evaluate(cls, op: Any, *arrays: Any) -> Any:
        return np.min(arrays[0], **cls._options(op))


class LogicalReduction(Reduction):
    """Base of the reductions to bool."""

    @classmethod
    def infer(cls, op: Any) -> tuple[TensorMeta, ...]:
        """The reduced shape, bool."""
        (meta,) = super().infer(op)
        return (meta.with_dtype(DType.BOOL),)


class AnyOp(LogicalReduction, name="any", traits=[Pure]):
    """Whether any element differs from zero."""

    @classmethod
    def evaluate(cls, op: Any, *arrays: Any) -> Any:
        return np.any(arrays[0], **cls._options(op))


class AllOp(LogicalReduction, name="all", traits=[Pure]):
    """Whether all elements differ from zero."""

    @classmethod
    def evaluate(cls, op: Any, *arrays: Any) -> Any:
        return np.all(arrays[0], **cls._options(op))


class VarOp(Reduction, name="var", traits=[Pure]):
    """Variance with ``correction`` taken from the number of elements, as ``torch.var`` defines it."""

    correction: ir.FloatAttr

    @classmethod
    def evaluate(cls, op: Any, *arrays: Any) -> Any:
        options = cls._options(op)
        wide = arrays[0].astype(np.float64)
        count = int(np.prod([wide.shape[dim] for dim in options["axis"]]))
        centred = wide - np.mean(wide, axis=options["axis"], keepdims=True)
        with np.errstate(invalid="ignore", divide="ignore"):
            total = np.sum(centred * centred, **options)
            return (total / np.float64(max(count - ir.FloatAttr(op.correction).value, 0))).astype(arrays[0].dtype)


class ArgReduction(GraphOperation):
    """Base of the searches along ``dim``: value and position (int64) of the extreme element, the first of equals."""

    operand: Operand[Tensor]
    dim: ir.IntegerAttr
    keepdim: ir.BoolAttr
    values: Result[Tensor]
    indices: Result[Tensor]

    @classmethod
    def infer(cls, op: Any) -> tuple[TensorMeta, ...]:
        """The reduced shape twice: the operand's dtype, and int64."""
        operand = meta_of(op.operand)
        dim = ir.IntegerAttr(op.dim).value
        if not 0 <= dim < max(operand.rank, 1):
            raise ValueError(f"dim {dim} is out of range for rank {operand.rank}")
        dims = [dim] if operand.rank else []
        values = operand.with_shape(reduced_shape(operand.shape, dims, ir.BoolAttr(op.keepdim).value))
        return values, values.with_dtype(DType.INT64)

    @classmethod
    def _search(cls, op: Any, array: Any, argument: Any) -> Any:
        if array.ndim == 0:
            return array, np.int64(0)
        dim = ir.IntegerAttr(op.dim).value
        # numpy's argmax and argmin stop at the first NaN too.
        indices = np.expand_dims(argument(array, axis=dim), dim)
        values = np.take_along_axis(array, indices, dim)
        if not ir.BoolAttr(op.keepdim).value:
            indices, values = indices.squeeze(dim), values.squeeze(dim)
        return values, indices.astype(np.int64)


class MaxDimOp(ArgReduction, name="max_dim", traits=[Pure]):
    """Largest element along ``dim`` and its position."""

    @classmethod
    def evaluate(cls, op: Any, *arrays: Any) -> Any:
        return cls._search(op, arrays[0], np.argmax)


class MinDimOp(ArgReduction, name="min_dim", traits=[Pure]):
    """Smallest element along ``dim`` and its position."""

    @classmethod
    def evaluate(cls, op: Any, *arrays: Any) -> Any:
        return cls._search(op, arrays[0], np.argmin)
