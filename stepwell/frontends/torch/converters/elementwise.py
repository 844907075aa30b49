"""Elementwise ops."""

from typing import Any

from stepwell.dialects.graph.elementwise import AddOp, MulOp, ReluOp
from stepwell.frontends.torch.importer import Importer, Value
from stepwell.frontends.torch.promotion import emit_pointwise, promoted_dtype
from stepwell.frontends.torch.registry import converts


@converts("aten.add.Tensor", "aten.add.Scalar")
def convert_add(importer: Importer, node: Any, lhs: Any, rhs: Any, alpha: Any = 1) -> Value:
    dtype = promoted_dtype(*node.args[:2])
    if alpha != 1:
        rhs = emit_pointwise(importer, MulOp, rhs, alpha, dtype=dtype)
    return emit_pointwise(importer, AddOp, lhs, rhs, dtype=dtype)


@converts("aten.mul.Tensor", "aten.mul.Scalar")
def convert_mul(importer: Importer, node: Any, lhs: Any, rhs: Any) -> Value:
    return emit_pointwise(importer, MulOp, lhs, rhs, dtype=promoted_dtype(*node.args[:2]))


@converts("aten.relu.default")
def convert_relu(importer: Importer, node: Any, operand: Value) -> Value:
    return importer.emit(ReluOp, operand)
