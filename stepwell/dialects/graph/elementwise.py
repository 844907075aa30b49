"""What elementwise ops share, and the most common ones; ``unary``, ``binary`` and the others hold the rest.

One element of the result is computed from one element of each operand; operands broadcast as torch's do.
"""

from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np

from stepwell.dialects.definition import Operand, Pure, Result
from stepwell.dialects.graph.base import GraphOperation, Tensor, same_dtype
from stepwell.dialects.graph.types import TensorMeta, broadcast_shapes, meta_of
from stepwell.support.bindings import ir
from stepwell.support.dtypes import DType


def in_float32(function: Callable[..., Any], *arrays: Any) -> Any:
    """Apply ``function``; floats of 16 and 8 bits are computed in float32 and rounded once, as in kernels."""
    dtype = arrays[0].dtype
    narrow = DType.from_numpy(dtype).is_narrow_float
    with np.errstate(all="ignore"):
        result = function(*(array.astype(np.float32) if narrow else array for array in arrays))
        return np.asarray(result).astype(dtype)


class Unary(GraphOperation, traits=[Pure]):
    """Base of the ops of one operand; the result has the operand's shape and dtype.

    Attributes:
        function: meaning on numpy arrays.
    """

    operand: Operand[Tensor]
    result: Result[Tensor]
    function: ClassVar[Callable[..., Any]]

    @classmethod
    def infer(cls, op: Any) -> tuple[TensorMeta, ...]:
        """Same shape, same dtype."""
        return (meta_of(op.operand),)

    @classmethod
    def evaluate(cls, op: Any, *arrays: Any) -> Any:
        return in_float32(cls.function, arrays[0])


class FloatUnary(Unary):
    """Base of the unary ops that exist for floats alone."""

    @classmethod
    def infer(cls, op: Any) -> tuple[TensorMeta, ...]:
        """Same shape, same floating-point dtype."""
        (meta,) = super().infer(op)
        if not meta.dtype.is_float:
            raise ValueError(f"'{cls.OPERATION_NAME}' needs a floating-point operand, got {meta.dtype}")
        return (meta,)


class Binary(GraphOperation, traits=[Pure]):
    """Base of the ops of two operands of one dtype, which broadcast; the result has that dtype.

    Attributes:
        function: meaning on numpy arrays.
    """

    lhs: Operand[Tensor]
    rhs: Operand[Tensor]
    result: Result[Tensor]
    function: ClassVar[Callable[..., Any]]

    @classmethod
    def infer(cls, op: Any) -> tuple[TensorMeta, ...]:
        """Broadcast shape, same dtype."""
        lhs, rhs = meta_of(op.lhs), meta_of(op.rhs)
        dtype = same_dtype(cls.OPERATION_NAME, lhs, rhs)
        return (TensorMeta(broadcast_shapes(lhs.shape, rhs.shape), dtype),)

    @classmethod
    def evaluate(cls, op: Any, *arrays: Any) -> Any:
        return in_float32(cls.function, *arrays)


class FloatBinary(Binary):
    """Base of the binary ops that exist for floats alone."""

    @classmethod
    def infer(cls, op: Any) -> tuple[TensorMeta, ...]:
        """Broadcast shape, same floating-point dtype."""
        (meta,) = super().infer(op)
        if not meta.dtype.is_float:
            raise ValueError(f"'{cls.OPERATION_NAME}' needs floating-point operands, got {meta.dtype}")
        return (meta,)


class ReluOp(Unary, name="relu"):
    """``max(operand, 0)``; NaN stays NaN."""

    function = staticmethod(lambda x: np.maximum(x, x.dtype.type(0)))


class AddOp(Binary, name="add"):
    """``lhs + rhs``; for bool the logical or."""

    function = staticmethod(np.add)


class MulOp(Binary, name="mul"):
    """``lhs * rhs``; for bool the logical and."""

    function = staticmethod(np.multiply)


class BitcastOp(GraphOperation, name="bitcast", traits=[Pure]):
    """The bits of ``operand`` read as ``dtype``, which has as many; bool has none that could be read."""

    operand: Operand[Tensor]
    dtype: ir.StringAttr
    result: Result[Tensor]

    @classmethod
    def infer(cls, op: Any) -> tuple[TensorMeta, ...]:
        """Same shape, the named dtype."""
        operand, dtype = meta_of(op.operand), DType.from_name(ir.StringAttr(op.dtype).value)
        if DType.BOOL in (operand.dtype, dtype) or operand.dtype.itemsize != dtype.itemsize:
            raise ValueError(f"'{cls.OPERATION_NAME}' needs dtypes of one size, and not bool: {operand.dtype}, {dtype}")
        return (operand.with_dtype(dtype),)

    @classmethod
    def evaluate(cls, op: Any, *arrays: Any) -> Any:
        return arrays[0].view(DType.from_name(ir.StringAttr(op.dtype).value).numpy)


class ConvertOp(GraphOperation, name="convert", traits=[Pure]):
    """``operand`` cast to ``dtype``, as ``Tensor.to`` casts.

    Float to integer truncates; integer to integer wraps; anything to bool asks whether it differs from zero.
    """

    operand: Operand[Tensor]
    dtype: ir.StringAttr
    result: Result[Tensor]

    @classmethod
    def infer(cls, op: Any) -> tuple[TensorMeta, ...]:
        """Same shape, the named dtype."""
        return (meta_of(op.operand).with_dtype(DType.from_name(ir.StringAttr(op.dtype).value)),)

    @classmethod
    def evaluate(cls, op: Any, *arrays: Any) -> Any:
        target = DType.from_name(ir.StringAttr(op.dtype).value)
        source = DType.from_numpy(arrays[0].dtype)
        with np.errstate(all="ignore"):
            if target is DType.BOOL:
                return arrays[0] != 0
            if source.is_float and not target.is_float:
                # Through int64, so that a value out of range wraps in a narrow target as it does in torch.
                return arrays[0].astype(np.float64).astype(np.int64).astype(target.numpy)
            return target.cast(arrays[0])
