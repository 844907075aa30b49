"""Ops that change nothing, and pairs of ops that undo or repeat each other."""

from typing import Any

from stepwell.dialects.graph.base import integers
from stepwell.dialects.graph.creation import ConstantOp
from stepwell.dialects.graph.elementwise import ConvertOp, MulOp, ReluOp
from stepwell.dialects.graph.shape import ExpandOp, PermuteOp, ReshapeOp
from stepwell.dialects.graph.types import meta_of
from stepwell.passes.transforms.simplifications.patterns import Rewrite, producer, simplifies
from stepwell.support.bindings import ir
from stepwell.support.dtypes import DType

# dtype -> the dtypes that hold all its values exactly.
_EXACT_IN = {
    DType.FLOAT8_E4M3FN: {DType.FLOAT16, DType.BFLOAT16, DType.FLOAT32, DType.FLOAT64},
    DType.FLOAT8_E5M2: {DType.FLOAT16, DType.BFLOAT16, DType.FLOAT32, DType.FLOAT64},
    DType.FLOAT16: {DType.FLOAT32, DType.FLOAT64},
    DType.BFLOAT16: {DType.FLOAT32, DType.FLOAT64},
    DType.FLOAT32: {DType.FLOAT64},
    DType.INT8: {DType.INT16, DType.INT32, DType.INT64},
    DType.UINT8: {DType.INT16, DType.INT32, DType.INT64},
    DType.INT16: {DType.INT32, DType.INT64},
    DType.INT32: {DType.INT64},
}


@simplifies(ConvertOp)
def convert_to_same_dtype(op: Any) -> Rewrite | str:
    """``convert`` to the operand's own dtype is the operand."""
    if op.operand.type != op.result.type:
        return "expect equal types"
    return Rewrite((op.operand,))


@simplifies(ConvertOp)
def convert_there_and_back(op: Any) -> Rewrite | str:
    """A conversion to a type that holds all values, and back, is the first operand."""
    inner = producer(op.operand, ConvertOp)
    if inner is None:
        return "expect a convert of a convert"
    start = meta_of(inner.operand).dtype
    if inner.operand.type != op.result.type or meta_of(inner.result).dtype not in _EXACT_IN.get(start, ()):
        return "expect a round trip through a type that holds all values"
    return Rewrite((inner.operand,))


@simplifies(ReshapeOp, ExpandOp)
def view_of_same_shape(op: Any) -> Rewrite | str:
    """A reshape or expansion to the operand's own shape is the operand."""
    if op.operand.type != op.result.type:
        return "expect equal shapes"
    return Rewrite((op.operand,))


@simplifies(ReshapeOp)
def reshape_of_reshape(op: Any) -> Rewrite | str:
    """Only the last of two reshapes counts."""
    inner = producer(op.operand, ReshapeOp)
    if inner is None:
        return "expect a reshape of a reshape"
    return Rewrite((ReshapeOp.create(inner.operand, op.sizes).result,))


@simplifies(PermuteOp)
def permute_to_same_order(op: Any) -> Rewrite | str:
    """A permutation that keeps the order is the operand."""
    dims = integers(op.dims)
    if dims != list(range(len(dims))):
        return "expect dimensions in order"
    return Rewrite((op.operand,))


@simplifies(PermuteOp)
def permute_of_permute(op: Any) -> Rewrite | str:
    """Two permutations are one."""
    inner = producer(op.operand, PermuteOp)
    if inner is None:
        return "expect a permute of a permute"
    first = integers(inner.dims)
    dims = ir.DenseI64ArrayAttr.get([first[dim] for dim in integers(op.dims)])
    return Rewrite((PermuteOp.create(inner.operand, dims).result,))


@simplifies(ReluOp)
def relu_of_relu(op: Any) -> Rewrite | str:
    """A second relu changes nothing."""
    inner = producer(op.operand, ReluOp)
    return Rewrite((inner.result,)) if inner is not None else "expect a relu of a relu"


@simplifies(MulOp)
def multiply_by_one(op: Any) -> Rewrite | str:
    """``x * 1`` is ``x``, NaN and -0.0 included; ``x + 0`` is not, for -0.0."""
    for one, other in ((op.lhs, op.rhs), (op.rhs, op.lhs)):
        constant = producer(one, ConstantOp)
        if constant is not None and constant.value.value == 1 and other.type == op.result.type:
            return Rewrite((other,))
    return "expect a factor of one"
