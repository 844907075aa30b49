"""Matrix products."""

from typing import Any

import numpy as np

from stepwell.dialects.definition import Operand, Pure, Result
from stepwell.dialects.graph.base import GraphOperation, Tensor, same_dtype
from stepwell.dialects.graph.types import TensorMeta, broadcast_shapes, meta_of


def widened(array: Any) -> Any:
    """Return a float array in float64, in which products of 16-bit floats are exact; others as they are."""
    return array if array.dtype.kind in "iub" else array.astype(np.float64)


class LinearOp(GraphOperation, name="linear", traits=[Pure]):
    """``operand @ weight.T + bias`` over the last dimension of ``operand``.

    Shapes: operand ``[..., K]``, weight ``[N, K]``, bias ``[N]``, result ``[..., N]``; one dtype.
    """

    operand: Operand[Tensor]
    weight: Operand[Tensor]
    bias: Operand[Tensor] | None
    result: Result[Tensor]

    @classmethod
    def infer(cls, op: Any) -> tuple[TensorMeta, ...]:
        """Leading dimensions of the operand, then N."""
        operand, weight = meta_of(op.operand), meta_of(op.weight)
        metas = [operand, weight, *([meta_of(op.bias)] if op.bias is not None else [])]
        dtype = same_dtype(cls.OPERATION_NAME, *metas)
        if weight.rank != 2 or operand.rank < 1:
            raise ValueError(f"needs an operand of rank 1 or more and a matrix, got {operand} and {weight}")
        if operand.shape[-1] != weight.shape[1]:
            raise ValueError(f"operand has {operand.shape[-1]} columns and the weight {weight.shape[1]}")
        return (TensorMeta((*operand.shape[:-1], weight.shape[0]), dtype),)

    @classmethod
    def evaluate(cls, op: Any, *arrays: Any) -> Any:
        product = np.matmul(widened(arrays[0]), widened(arrays[1]).T)
        return (product + arrays[2] if len(arrays) > 2 else product).astype(arrays[0].dtype)


class MatmulOp(GraphOperation, name="matmul", traits=[Pure]):
    """``torch.matmul``: products of vectors, matrices, and batches of matrices whose leading dimensions broadcast."""

    lhs: Operand[Tensor]
    rhs: Operand[Tensor]
    result: Result[Tensor]

    @classmethod
    def infer(cls, op: Any) -> tuple[TensorMeta, ...]:
        """Broadcast batch, rows of lhs (unless it is a vector), columns of rhs (unless it is a vector)."""
        lhs, rhs = meta_of(op.lhs), meta_of(op.rhs)
        dtype = same_dtype(cls.OPERATION_NAME, lhs, rhs)
        if lhs.rank < 1 or rhs.rank < 1:
            raise ValueError(f"needs vectors or matrices, got {lhs} and {rhs}")
        inner = rhs.shape[-2] if rhs.rank > 1 else rhs.shape[0]
        if lhs.shape[-1] != inner:
            raise ValueError(f"lhs has {lhs.shape[-1]} columns and rhs {inner} rows")
        batch = broadcast_shapes(lhs.shape[:-2], rhs.shape[:-2])
        rows = lhs.shape[-2:-1] if lhs.rank > 1 else ()
        columns = rhs.shape[-1:] if rhs.rank > 1 else ()
        return (TensorMeta((*batch, *rows, *columns), dtype),)

    @classmethod
    def evaluate(cls, op: Any, *arrays: Any) -> Any:
        return np.matmul(*map(widened, arrays)).astype(arrays[0].dtype)
