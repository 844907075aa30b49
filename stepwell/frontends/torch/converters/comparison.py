"""Elementwise comparisons, tests, logic and selection."""

from typing import Any

from stepwell.dialects.graph import binary, comparison
from stepwell.dialects.graph.types import meta_of
from stepwell.dialects.graph.unary import AbsOp, BitwiseNotOp
from stepwell.frontends.torch.converters.creation import full_like
from stepwell.frontends.torch.importer import Importer, Value
from stepwell.frontends.torch.promotion import promoted_dtype
from stepwell.frontends.torch.registry import converts
from stepwell.support.dtypes import DType

_RELATIONS = {
    "eq": comparison.EqOp,
    "ne": comparison.NeOp,
    "lt": comparison.LtOp,
    "le": comparison.LeOp,
    "gt": comparison.GtOp,
    "ge": comparison.GeOp,
}
_LOGIC = {
    "aten.logical_and.default": binary.BitwiseAndOp,
    "aten.logical_or.default": binary.BitwiseOrOp,
    "aten.logical_xor.default": binary.BitwiseXorOp,
}


@converts(*(f"aten.{name}.{kind}" for name in _RELATIONS for kind in ("Tensor", "Scalar")))
def convert_comparison(importer: Importer, node: Any, lhs: Any, rhs: Any) -> Value:
    dtype = promoted_dtype(*node.args)
    name = str(node.target).split(".")[1]
    return importer.emit(_RELATIONS[name], importer.operand(lhs, dtype), importer.operand(rhs, dtype))


@converts(*_LOGIC)
def convert_logic(importer: Importer, node: Any, lhs: Value, rhs: Value) -> Value:
    operands = (importer.convert(lhs, DType.BOOL), importer.convert(rhs, DType.BOOL))
    return importer.emit(_LOGIC[str(node.target)], *operands)


@converts("aten.logical_not.default")
def convert_logical_not(importer: Importer, node: Any, operand: Value) -> Value:
    return importer.emit(BitwiseNotOp, importer.convert(operand, DType.BOOL))


@converts("aten.isnan.default")
def convert_isnan(importer: Importer, node: Any, operand: Value) -> Value:
    if meta_of(operand).dtype.is_float:
        return importer.emit(comparison.IsnanOp, operand)
    return full_like(importer, operand, False, DType.BOOL)


@converts("aten.isinf.default")
def convert_isinf(importer: Importer, node: Any, operand: Value) -> Value:
    if meta_of(operand).dtype.is_float:
        return importer.emit(comparison.IsinfOp, operand)
    return full_like(importer, operand, False, DType.BOOL)


@converts("aten.isfinite.default")
def convert_isfinite(importer: Importer, node: Any, operand: Value) -> Value:
    dtype = meta_of(operand).dtype
    if not dtype.is_float:
        return full_like(importer, operand, True, DType.BOOL)
    infinity = importer.constant(float("inf"), dtype)
    return importer.emit(comparison.LtOp, importer.emit(AbsOp, operand), infinity)


@converts("aten.signbit.default")
def convert_signbit(importer: Importer, node: Any, operand: Value) -> Value:
    dtype = meta_of(operand).dtype
    if dtype.is_float:
        return importer.emit(comparison.SignbitOp, operand)
    if dtype is DType.BOOL:
        return full_like(importer, operand, False, DType.BOOL)
    return importer.emit(comparison.LtOp, operand, importer.constant(0, dtype))


@converts("aten.where.self")
def convert_where(importer: Importer, node: Any, condition: Value, lhs: Any, rhs: Any) -> Value:
    dtype = importer.meta(node).dtype
    chosen = importer.convert(condition, DType.BOOL)
    return importer.emit(comparison.WhereOp, chosen, importer.operand(lhs, dtype), importer.operand(rhs, dtype))


@converts("aten.masked_fill.Scalar", "aten.masked_fill.Tensor")
def convert_masked_fill(importer: Importer, node: Any, operand: Value, mask: Value, value: Any) -> Value:
    filler = importer.operand(value, meta_of(operand).dtype)
    return importer.emit(comparison.WhereOp, importer.convert(mask, DType.BOOL), filler, operand)
