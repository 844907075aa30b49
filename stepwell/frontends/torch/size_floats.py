"""Floating-point arithmetic on sizes, such as ``x.shape[-1] ** -0.5``: ops on 0-d float64 tensors."""

from typing import Any

from stepwell.dialects.graph import binary, unary
from stepwell.dialects.graph.elementwise import AddOp, MulOp

# Name of the Python function in the exported program -> op on its operands; None for the operand itself.
SIZE_FLOAT_OPS: dict[str, Any] = {
    "add": AddOp,
    "sub": binary.SubOp,
    "mul": MulOp,
    "truediv": binary.DivOp,
    "pow": binary.PowOp,
    "neg": unary.NegOp,
    "_sym_sqrt": unary.SqrtOp,
    "sym_sqrt": unary.SqrtOp,
    "sqrt": unary.SqrtOp,
    "sym_float": None,
}
