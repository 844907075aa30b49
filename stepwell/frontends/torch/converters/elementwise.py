"""Elementwise functions of one operand, casts and copies."""

from typing import Any

from stepwell.dialects.graph import unary as ops
from stepwell.dialects.graph.binary import SubOp
from stepwell.dialects.graph.elementwise import BitcastOp, ReluOp
from stepwell.dialects.graph.types import meta_of
from stepwell.frontends.torch.importer import Importer, Value
from stepwell.frontends.torch.promotion import pointwise_converter
from stepwell.frontends.torch.registry import converts
from stepwell.support.dtypes import DType
from stepwell.support.errors import ImportProgramError

# Ops that keep the dtype.
_SAME_DTYPE = {
    "abs": ops.AbsOp,
    "neg": ops.NegOp,
    "bitwise_not": ops.BitwiseNotOp,
    "relu": ReluOp,
}

# Ops that turn integers into floats first.
_TO_FLOAT = {
    "exp": ops.ExpOp,
    "exp2": ops.Exp2Op,
    "expm1": ops.Expm1Op,
    "log": ops.LogOp,
    "log2": ops.Log2Op,
    "log10": ops.Log10Op,
    "log1p": ops.Log1pOp,
    "sqrt": ops.SqrtOp,
    "rsqrt": ops.RsqrtOp,
    "reciprocal": ops.ReciprocalOp,
    "sin": ops.SinOp,
    "cos": ops.CosOp,
    "tan": ops.TanOp,
    "asin": ops.AsinOp,
    "acos": ops.AcosOp,
    "atan": ops.AtanOp,
    "sinh": ops.SinhOp,
    "cosh": ops.CoshOp,
    "tanh": ops.TanhOp,
    "asinh": ops.AsinhOp,
    "acosh": ops.AcoshOp,
    "atanh": ops.AtanhOp,
    "erf": ops.ErfOp,
    "erfc": ops.ErfcOp,
    "sigmoid": ops.SigmoidOp,
}

# Ops that leave integers as they are.
_ROUNDING = {
    "aten.floor.default": ops.FloorOp,
    "aten.ceil.default": ops.CeilOp,
    "aten.trunc.default": ops.TruncOp,
    "aten.round.default": ops.RoundOp,
}

for _name, _op in _SAME_DTYPE.items():
    converts(f"aten.{_name}.default")(pointwise_converter(_op))
for _name, _op in _TO_FLOAT.items():
    converts(f"aten.{_name}.default")(pointwise_converter(_op, to_float=True))


@converts(*_ROUNDING)
def convert_rounding(importer: Importer, node: Any, operand: Value) -> Value:
    return importer.emit(_ROUNDING[str(node.target)], operand) if meta_of(operand).dtype.is_float else operand


@converts("aten.round.decimals")
def convert_round_decimals(importer: Importer, node: Any, operand: Value, *, decimals: int) -> Value:
    return importer.emit(ops.RoundOp, operand, decimals=decimals) if meta_of(operand).dtype.is_float else operand


@converts("aten.frac.default")
def convert_frac(importer: Importer, node: Any, operand: Value) -> Value:
    return importer.emit(SubOp, operand, importer.emit(ops.TruncOp, operand))


@converts("aten.sign.default", "aten.sgn.default")
def convert_sign(importer: Importer, node: Any, operand: Value) -> Value:
    # The sign of True is True.
    return operand if meta_of(operand).dtype is DType.BOOL else importer.emit(ops.SignOp, operand)


@converts("aten.view.dtype")
def convert_view_dtype(importer: Importer, node: Any, operand: Value, _: Any) -> Value:
    """The same bytes as another dtype; those of bool are 0 and 1."""
    source, target = meta_of(operand).dtype, importer.meta(node).dtype
    if source is target:
        return operand
    if source.itemsize != target.itemsize:
        raise ImportProgramError(f"a view of {source} as {target}, of another size, is not supported")
    if DType.BOOL in (source, target):
        return importer.convert(operand, target)
    return importer.emit(BitcastOp, operand, dtype=target)


@converts("aten._to_copy.default", "prims.convert_element_type.default")
def convert_to_copy(importer: Importer, node: Any, operand: Value, *_: Any, **__: Any) -> Value:
    return importer.convert(operand, importer.meta(node).dtype)
