"""Ops that read or write at positions given by integer tensors.

Positions are int64 or int32.  One that is negative or too large is an error at run time, save where an op says that it
wraps: there ``-1`` names the last element.
"""

from typing import Any

import numpy as np

from stepwell.dialects.definition import Operand, Pure, Result, Sequence, operand
from stepwell.dialects.graph.assumptions import assume_at_most
from stepwell.dialects.graph.base import GraphOperation, Tensor, integers, same_dtype
from stepwell.dialects.graph.sizes import check_dim, check_distinct_dims, flag_of, integer_of, provably_differ
from stepwell.dialects.graph.types import Shape, TensorMeta, broadcast_shapes, meta_of
from stepwell.support.bindings import ir
from stepwell.support.dtypes import DType
from stepwell.support.symbolic import Expr


def check_positions(*metas: TensorMeta) -> None:
    """Raise ValueError unless every tensor holds int64 or int32."""
    for meta in metas:
        if meta.dtype not in (DType.INT64, DType.INT32):
            raise ValueError(f"indices must be int64 or int32, got {meta}")


def checked(positions: Any, size: int, wrap: bool = False) -> Any:
    """Return numpy positions within ``size``; raises IndexError as torch does."""
    low = -size if wrap else 0
    if np.any((positions < low) | (positions >= size)):
        raise IndexError(f"index out of range for size {size}")
    return np.where(positions < 0, positions + size, positions)


class EmbeddingOp(GraphOperation, name="embedding", traits=[Pure]):
    """Row ``indices[...]`` of the matrix ``weight``, as the last dimension of the result."""

    weight: Operand[Tensor]
    indices: Operand[Tensor]
    result: Result[Tensor]

    @classmethod
    def infer(cls, op: Any) -> tuple[TensorMeta, ...]:
        """The shape of ``indices``, then the columns of ``weight``."""
        weight, indices = meta_of(op.weight), meta_of(op.indices)
        check_positions(indices)
        if weight.rank != 2:
            raise ValueError(f"weight must be a matrix, got {weight}")
        return (weight.with_shape((*indices.shape, weight.shape[1])),)

    @classmethod
    def evaluate(cls, op: Any, *arrays: Any) -> Any:
        return arrays[0][checked(arrays[1], arrays[0].shape[0])]


class IndexSelectOp(GraphOperation, name="index_select", traits=[Pure]):
    """The parts of ``operand`` at ``index[0]``, ``index[1]``, ... along ``dim``."""

    operand: Operand[Tensor]
    index: Operand[Tensor]
    dim: ir.IntegerAttr
    result: Result[Tensor]

    @classmethod
    def infer(cls, op: Any) -> tuple[TensorMeta, ...]:
        """The length of ``index`` in place of the size."""
        operand, index, dim = meta_of(op.operand), meta_of(op.index), integer_of(op.dim)
        check_positions(index)
        check_dim(dim, operand.rank)
        if index.rank != 1:
            raise ValueError(f"index must have rank 1, got {index}")
        return (operand.with_shape((*operand.shape[:dim], index.shape[0], *operand.shape[dim + 1 :])),)

    @classmethod
    def evaluate(cls, op: Any, *arrays: Any) -> Any:
        dim = integer_of(op.dim)
        return np.take(arrays[0], checked(arrays[1], arrays[0].shape[dim]), axis=dim)


def check_along(op: Any, operand: TensorMeta, index: TensorMeta) -> None:
    """Check an index that replaces the position along ``op.dim`` of an operand of the same rank."""
    dim = integer_of(op.dim)
    check_positions(index)
    check_dim(dim, operand.rank)
    if index.rank != operand.rank:
        raise ValueError(f"index must have rank {operand.rank}, got {index}")
    for axis, (size, limit) in enumerate(zip(index.shape, operand.shape, strict=True)):
        room = limit - size
        if axis != dim and room.is_constant and room.constant < 0 and index.shape[dim] != Expr.const(0):
            raise ValueError(f"index has size {size} at dimension {axis}, more than {limit} of {operand}")
        if axis != dim:
            assume_at_most(size, limit)


def positions_along(index: Any, dim: int, size: int) -> tuple[Any, ...]:
    """Return the numpy index that replaces the position along ``dim`` by ``index``."""
    grid = list(np.indices(index.shape, sparse=True))
    grid[dim] = checked(index, size)
    return tuple(grid)


class GatherOp(GraphOperation, name="gather", traits=[Pure]):
    """``operand`` read where ``index`` says: at ``[i, j, ...]``, but at ``index[i, j, ...]`` along ``dim``."""

    operand: Operand[Tensor]
    index: Operand[Tensor]
    dim: ir.IntegerAttr
    result: Result[Tensor]

    @classmethod
    def infer(cls, op: Any) -> tuple[TensorMeta, ...]:
        """The shape of ``index``."""
        operand, index = meta_of(op.operand), meta_of(op.index)
        check_along(op, operand, index)
        return (operand.with_shape(index.shape),)

    @classmethod
    def evaluate(cls, op: Any, *arrays: Any) -> Any:
        dim = integer_of(op.dim)
        return arrays[0][positions_along(arrays[1], dim, arrays[0].shape[dim])]


def indexed_shape(operand: Shape, dims: Sequence[int], indices: Sequence[Shape]) -> tuple[Shape, int, int]:
    """Return (shape of ``operand[..., indices, ...]``, where the broadcast index dimensions start, their number).

    They stand where the first of ``dims`` was if ``dims`` are neighbours, else in front.
    """
    common = broadcast_shapes(*indices)
    kept = [size for dim, size in enumerate(operand) if dim not in dims]
    neighbours = list(dims) == list(range(dims[0], dims[0] + len(dims)))
    start = dims[0] if neighbours else 0
    return (*kept[:start], *common, *kept[start:]), start, len(common)


class IndexedOperation(GraphOperation):
    """Base of the ops that index ``dims`` of ``operand`` with one tensor each; the tensors broadcast and wrap."""

    operand: Operand[Tensor]

    @classmethod
    def _indexed(cls, op: Any) -> TensorMeta:
        operand, indices, dims = meta_of(op.operand), [meta_of(value) for value in op.indices], integers(op.dims)
        check_positions(*indices)
        check_distinct_dims(dims, operand.rank)
        if not indices or len(indices) != len(dims) or sorted(dims) != dims:
            raise ValueError(f"needs one index per increasing dimension, got {len(indices)} for dims {dims}")
        return operand.with_shape(indexed_shape(operand.shape, dims, [index.shape for index in indices])[0])

    @classmethod
    def _positions(cls, op: Any, array: Any, indices: Sequence[Any]) -> tuple[Any, ...]:
        index: list[Any] = [slice(None)] * array.ndim
        for dim, positions in zip(integers(op.dims), indices, strict=True):
            index[dim] = checked(positions, array.shape[dim], wrap=True)
        return tuple(index)


class IndexOp(IndexedOperation, name="index", traits=[Pure]):
    """``operand[..., indices[0], ..., indices[1], ...]``, the indices at ``dims``; positions wrap."""

    indices: Sequence[Operand[Tensor]] = operand(mixed=True)
    dims: ir.DenseI64ArrayAttr
    result: Result[Tensor]

    @classmethod
    def infer(cls, op: Any) -> tuple[TensorMeta, ...]:
        """The broadcast shape of the indices in place of ``dims``, or in front where ``dims`` are no neighbours."""
        return (cls._indexed(op),)

    @classmethod
    def evaluate(cls, op: Any, *arrays: Any) -> Any:
        return arrays[0][cls._positions(op, arrays[0], arrays[1:])]


class IndexPutOp(IndexedOperation, name="index_put", traits=[Pure]):
    """``operand`` with ``values`` written at the places that ``index`` would read, or added there; positions wrap.

    Of several values for one place the last stays, or all are added in order.
    """

    values: Operand[Tensor]
    indices: Sequence[Operand[Tensor]] = operand(mixed=True)
    dims: ir.DenseI64ArrayAttr
    accumulate: ir.BoolAttr
    result: Result[Tensor]

    @classmethod
    def infer(cls, op: Any) -> tuple[TensorMeta, ...]:
        """The operand's shape; ``values`` broadcast to what ``index`` would give."""
        operand, values, target = meta_of(op.operand), meta_of(op.values), cls._indexed(op)
        same_dtype(cls.OPERATION_NAME, operand, values)
        shape = broadcast_shapes(values.shape, target.shape)
        if len(shape) != target.rank or any(map(provably_differ, shape, target.shape)):
            raise ValueError(f"values {values} do not broadcast to {target}")
        return (operand,)

    @classmethod
    def evaluate(cls, op: Any, *arrays: Any) -> Any:
        result, index = arrays[0].copy(), cls._positions(op, arrays[0], arrays[2:])
        if flag_of(op.accumulate):
            np.add.at(result, index, arrays[1])
        else:
            result[index] = arrays[1]
        return result


class OneHotOp(GraphOperation, name="one_hot", traits=[Pure]):
    """1 at ``operand[...]`` of a new last dimension of ``classes``, else 0; int64."""

    operand: Operand[Tensor]
    classes: ir.IntegerAttr
    result: Result[Tensor]

    @classmethod
    def infer(cls, op: Any) -> tuple[TensorMeta, ...]:
        """The operand's shape, then the number of classes."""
        operand, classes = meta_of(op.operand), integer_of(op.classes)
        check_positions(operand)
        if classes < 1:
            raise ValueError(f"needs at least one class, got {classes}")
        return (TensorMeta((*operand.shape, Expr.const(classes)), DType.INT64),)

    @classmethod
    def evaluate(cls, op: Any, *arrays: Any) -> Any:
        classes = integer_of(op.classes)
        return (checked(arrays[0], classes)[..., None] == np.arange(classes)).astype(np.int64)
