"""Elementwise ops: one element of the result for each element of the broadcast operands."""

from typing import Any

import numpy as np

from stepwell.dialects.definition import Operand, Pure, Result
from stepwell.dialects.graph.base import GraphOperation, Tensor, same_dtype
from stepwell.dialects.graph.dialect import Graph
from stepwell.dialects.graph.types import TensorMeta, broadcast_shapes, meta_of
from stepwell.support.bindings import ir
from stepwell.support.dtypes import DType


class Unary(GraphOperation):
    """Base of the ops of one operand; the result has the operand's shape and dtype."""

    operand: Operand[Tensor]
    result: Result[Tensor]

    @classmethod
    def infer(cls, op: Any) -> tuple[TensorMeta, ...]:
        """Same shape, same dtype."""
        return (meta_of(op.operand),)


class Binary(GraphOperation):
    """Base of the ops of two operands of one dtype, which broadcast; the result has that dtype."""

    lhs: Operand[Tensor]
    rhs: Operand[Tensor]
    result: Result[Tensor]

    @classmethod
    def infer(cls, op: Any) -> tuple[TensorMeta, ...]:
        """Broadcast shape, same dtype."""
        lhs, rhs = meta_of(op.lhs), meta_of(op.rhs)
        dtype = same_dtype(cls.OPERATION_NAME, lhs, rhs)
        return (TensorMeta(broadcast_shapes(lhs.shape, rhs.shape), dtype),)


class ReluOp(Unary, name="relu", traits=[Pure]):
    """``max(operand, 0)``; NaN stays NaN."""

    @classmethod
    def evaluate(cls, op: Any, *arrays: Any) -> Any:
        return np.maximum(arrays[0], 0)


class AddOp(Binary, name="add", traits=[Pure]):
    """``lhs + rhs``; for bool the logical or."""

    @classmethod
    def evaluate(cls, op: Any, *arrays: Any) -> Any:
        return np.add(*arrays)


class MulOp(Binary, name="mul", traits=[Pure]):
    """``lhs * rhs``; for bool the logical and."""

    @classmethod
    def evaluate(cls, op: Any, *arrays: Any) -> Any:
        return np.multiply(*arrays)


class ConvertOp(GraphOperation, name="convert", traits=[Pure]):
    """``operand`` cast to ``dtype``, as ``Tensor.to`` casts."""

    operand: Operand[Tensor]
    dtype: ir.StringAttr
    result: Result[Tensor]

    @classmethod
    def infer(cls, op: Any) -> tuple[TensorMeta, ...]:
        """Same shape, the named dtype."""
        return (meta_of(op.operand).with_dtype(DType.from_name(ir.StringAttr(op.dtype).value)),)

    @classmethod
    def evaluate(cls, op: Any, *arrays: Any) -> Any:
        return arrays[0].astype(DType.from_name(ir.StringAttr(op.dtype).value).numpy)


__all__ = ["AddOp", "Binary", "ConvertOp", "Graph", "MulOp", "ReluOp", "Unary"]
