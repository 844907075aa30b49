"""Elementwise comparisons and tests, which give bool, and selection by a condition."""

from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np

from stepwell.dialects.definition import Operand, Pure, Result
from stepwell.dialects.graph.base import GraphOperation, Tensor, same_dtype
from stepwell.dialects.graph.types import TensorMeta, broadcast_shapes, meta_of
from stepwell.support.dtypes import DType


class Comparison(GraphOperation, traits=[Pure]):
    """Base of the comparisons of two operands of one dtype; the result is bool.

    Attributes:
        function: meaning on numpy arrays.
    """

    lhs: Operand[Tensor]
    rhs: Operand[Tensor]
    result: Result[Tensor]
    function: ClassVar[Callable[..., Any]]

    @classmethod
    def infer(cls, op: Any) -> tuple[TensorMeta, ...]:
        """Broadcast shape, bool."""
        lhs, rhs = meta_of(op.lhs), meta_of(op.rhs)
        same_dtype(cls.OPERATION_NAME, lhs, rhs)
        return (TensorMeta(broadcast_shapes(lhs.shape, rhs.shape), DType.BOOL),)

    @classmethod
    def evaluate(cls, op: Any, *arrays: Any) -> Any:
        return np.asarray(cls.function(*arrays)).astype(np.bool_)


class EqOp(Comparison, name="eq"):
    """``lhs == rhs``; False with NaN."""

    function = staticmethod(np.equal)


class NeOp(Comparison, name="ne"):
    """``lhs != rhs``; True with NaN."""

    function = staticmethod(np.not_equal)


class LtOp(Comparison, name="lt"):
    """``lhs < rhs``; False with NaN."""

    function = staticmethod(np.less)


class LeOp(Comparison, name="le"):
    """``lhs <= rhs``; False with NaN."""

    function = staticmethod(np.less_equal)


class GtOp(Comparison, name="gt"):
    """``lhs > rhs``; False with NaN."""

    function = staticmethod(np.greater)


class GeOp(Comparison, name="ge"):
    """``lhs >= rhs``; False with NaN."""

    function = staticmethod(np.greater_equal)


class FloatTest(GraphOperation, traits=[Pure]):
    """Base of the tests of a floating-point operand; the result is bool.

    Attributes:
        function: meaning on numpy arrays.
    """

    operand: Operand[Tensor]
    result: Result[Tensor]
    function: ClassVar[Callable[..., Any]]

    @classmethod
    def infer(cls, op: Any) -> tuple[TensorMeta, ...]:
        """Same shape, bool."""
        meta = meta_of(op.operand)
        if not meta.dtype.is_float:
            raise ValueError(f"'{cls.OPERATION_NAME}' needs a floating-point operand, got {meta.dtype}")
        return (meta.with_dtype(DType.BOOL),)

    @classmethod
    def evaluate(cls, op: Any, *arrays: Any) -> Any:
        return np.asarray(cls.function(arrays[0])).astype(np.bool_)


class IsnanOp(FloatTest, name="isnan"):
    """Whether the operand is NaN."""

    function = staticmethod(np.isnan)


class IsinfOp(FloatTest, name="isinf"):
    """Whether the operand is infinite."""

    function = staticmethod(np.isinf)


class SignbitOp(FloatTest, name="signbit"):
    """Whether the sign bit is set, as it is for -0.0."""

    function = staticmethod(np.signbit)


class WhereOp(GraphOperation, name="where", traits=[Pure]):
    """``lhs`` where ``condition`` holds, else ``rhs``."""

    condition: Operand[Tensor]
    lhs: Operand[Tensor]
    rhs: Operand[Tensor]
    result: Result[Tensor]

    @classmethod
    def infer(cls, op: Any) -> tuple[TensorMeta, ...]:
        """Broadcast shape of all three, the dtype of the last two."""
        condition, lhs, rhs = meta_of(op.condition), meta_of(op.lhs), meta_of(op.rhs)
        if condition.dtype is not DType.BOOL:
            raise ValueError(f"the condition of '{cls.OPERATION_NAME}' must be bool, got {condition.dtype}")
        dtype = same_dtype(cls.OPERATION_NAME, lhs, rhs)
        return (TensorMeta(broadcast_shapes(condition.shape, lhs.shape, rhs.shape), dtype),)

    @classmethod
    def evaluate(cls, op: Any, *arrays: Any) -> Any:
        return np.where(*arrays)
