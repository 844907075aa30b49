"""Matrix products."""

from typing import Any

from stepwell.dialects.graph.contraction import LinearOp, MatmulOp
from stepwell.dialects.graph.elementwise import AddOp, MulOp
from stepwell.dialects.graph.types import meta_of
from stepwell.frontends.torch.importer import Importer, Value
from stepwell.frontends.torch.registry import converts


@converts("aten.linear.default")
def convert_linear(importer: Importer, node: Any, operand: Value, weight: Value, bias: Value | None = None) -> Value:
    if meta_of(weight).rank == 1:
        product = importer.emit(MatmulOp, operand, weight)
        return importer.emit(AddOp, product, bias) if bias is not None else product
    return importer.emit(LinearOp, operand, weight, bias)


@converts("aten.mm.default", "aten.bmm.default", "aten.mv.default", "aten.dot.default", "aten.matmul.default")
def convert_matmul(importer: Importer, node: Any, lhs: Value, rhs: Value) -> Value:
    return importer.emit(MatmulOp, lhs, rhs)


@converts("aten.addmm.default", "aten.baddbmm.default", "aten.addmv.default")
def convert_addmm(
    importer: Importer, node: Any, addend: Value, lhs: Value, rhs: Value, *, beta: Any = 1, alpha: Any = 1
) -> Value:
    """``beta * addend + alpha * (lhs @ rhs)``; beta 0 ignores the addend, NaN in it included."""
    dtype = meta_of(lhs).dtype
    product = importer.emit(MatmulOp, lhs, rhs)
    if alpha != 1:
        product = importer.emit(MulOp, product, importer.operand(alpha, dtype))
    if beta == 0:
        return product
    if beta != 1:
        addend = importer.emit(MulOp, addend, importer.operand(beta, dtype))
    return importer.emit(AddOp, product, addend)
