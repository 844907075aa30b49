"""Elementwise functions of two and three operands."""

from typing import Any

from stepwell.dialects.graph import binary as ops
from stepwell.dialects.graph.activation import AddcdivOp, AddcmulOp, ClampOp, LerpOp
from stepwell.dialects.graph.elementwise import AddOp, MulOp
from stepwell.dialects.graph.types import meta_of
from stepwell.dialects.graph.unary import ReciprocalOp, RsqrtOp, SqrtOp
from stepwell.frontends.torch.importer import Importer, Value
from stepwell.frontends.torch.promotion import emit_pointwise, pointwise_converter, promoted_dtype, working_dtype
from stepwell.frontends.torch.registry import converts
from stepwell.support.dtypes import DType

_OVERLOADS = {
    "remainder": (ops.RemainderOp, ("Tensor", "Scalar", "Scalar_Tensor")),
    "fmod": (ops.FmodOp, ("Tensor", "Scalar")),
    "maximum": (ops.MaximumOp, ("default",)),
    "minimum": (ops.MinimumOp, ("default",)),
    "bitwise_and": (ops.BitwiseAndOp, ("Tensor", "Scalar", "Scalar_Tensor")),
    "bitwise_or": (ops.BitwiseOrOp, ("Tensor", "Scalar", "Scalar_Tensor")),
    "bitwise_xor": (ops.BitwiseXorOp, ("Tensor", "Scalar", "Scalar_Tensor")),
    "__and__": (ops.BitwiseAndOp, ("Tensor", "Scalar")),
    "__or__": (ops.BitwiseOrOp, ("Tensor", "Scalar")),
    "__xor__": (ops.BitwiseXorOp, ("Tensor", "Scalar")),
    "bitwise_left_shift": (ops.BitwiseLeftShiftOp, ("Tensor", "Tensor_Scalar", "Scalar_Tensor")),
    "bitwise_right_shift": (ops.BitwiseRightShiftOp, ("Tensor", "Tensor_Scalar", "Scalar_Tensor")),
    "__lshift__": (ops.BitwiseLeftShiftOp, ("Tensor", "Scalar")),
    "__rshift__": (ops.BitwiseRightShiftOp, ("Tensor", "Scalar")),
    "hypot": (ops.HypotOp, ("default",)),
    "logaddexp": (ops.LogaddexpOp, ("default",)),
    "logaddexp2": (ops.Logaddexp2Op, ("default",)),
    "mul": (MulOp, ("Tensor", "Scalar")),
}
_TO_FLOAT = {
    "atan2": (ops.Atan2Op, ("default",)),
    "copysign": (ops.CopysignOp, ("Tensor", "Scalar")),
    "xlogy": (ops.XlogyOp, ("Tensor", "Scalar_Self", "Scalar_Other")),
}

for _table, _to_float in ((_OVERLOADS, False), (_TO_FLOAT, True)):
    for _name, (_op, _kinds) in _table.items():
        converts(*(f"aten.{_name}.{kind}" for kind in _kinds))(pointwise_converter(_op, to_float=_to_float))


@converts("aten.add.Tensor", "aten.add.Scalar")
def convert_add(importer: Importer, node: Any, lhs: Any, rhs: Any, alpha: Any = 1) -> Value:
    return _scaled(importer, AddOp, node, lhs, rhs, alpha)


@converts("aten.sub.Tensor", "aten.sub.Scalar")
def convert_sub(importer: Importer, node: Any, lhs: Any, rhs: Any, alpha: Any = 1) -> Value:
    return _scaled(importer, ops.SubOp, node, lhs, rhs, alpha)


@converts("aten.rsub.Tensor", "aten.rsub.Scalar")
def convert_rsub(importer: Importer, node: Any, lhs: Any, rhs: Any, alpha: Any = 1) -> Value:
    return _scaled(importer, ops.SubOp, node, rhs, lhs, alpha)


def _scaled(importer: Importer, op: Any, node: Any, lhs: Any, rhs: Any, alpha: Any) -> Value:
    """Build ``op(lhs, alpha * rhs)``; a 16-bit product is not rounded before it is added."""
    dtype = promoted_dtype(*node.args[:2])
    if alpha == 1:
        return emit_pointwise(importer, op, lhs, rhs, dtype=dtype)
    work = working_dtype(dtype, 0.1)
    product = emit_pointwise(importer, MulOp, rhs, alpha, dtype=work)
    return importer.convert(emit_pointwise(importer, op, lhs, product, dtype=work), dtype)


# torch.compile writes true_divide for quotients of sizes.
@converts(
    "aten.div.Tensor", "aten.div.Scalar", "aten.div.Tensor_mode", "aten.div.Scalar_mode", "aten.true_divide.Tensor"
)
def convert_div(importer: Importer, node: Any, lhs: Any, rhs: Any, *, rounding_mode: str | None = None) -> Value:
    dtype = promoted_dtype(*node.args[:2], to_float=rounding_mode is None)
    return emit_pointwise(importer, ops.DivOp, lhs, rhs, dtype=dtype, rounding=rounding_mode)


@converts("aten.floor_divide.default", "aten.floor_divide.Scalar")
def convert_floor_divide(importer: Importer, node: Any, lhs: Any, rhs: Any) -> Value:
    return emit_pointwise(importer, ops.DivOp, lhs, rhs, dtype=promoted_dtype(*node.args[:2]), rounding="floor")


@converts("aten.fmax.default", "aten.fmin.default")
def convert_fmax(importer: Importer, node: Any, lhs: Value, rhs: Value) -> Value:
    dtype = promoted_dtype(*node.args)
    largest = str(node.target) == "aten.fmax.default"
    if dtype.is_float:
        return emit_pointwise(importer, ops.FmaxOp if largest else ops.FminOp, lhs, rhs, dtype=dtype)
    return emit_pointwise(importer, ops.MaximumOp if largest else ops.MinimumOp, lhs, rhs, dtype=dtype)


@converts("aten.pow.Tensor_Tensor", "aten.pow.Scalar")
def convert_pow(importer: Importer, node: Any, lhs: Any, rhs: Any) -> Value:
    return emit_pointwise(importer, ops.PowOp, lhs, rhs, dtype=promoted_dtype(*node.args))


@converts("aten.pow.Tensor_Scalar")
def convert_pow_scalar(importer: Importer, node: Any, base: Value, exponent: Any) -> Value:
    """Small powers are products and roots, as they are in torch (pow_tensor_scalar_optimized)."""
    dtype = promoted_dtype(*node.args)
    power = _small_power(importer, base, exponent, dtype) if isinstance(exponent, int | float) else None
    return power if power is not None else emit_pointwise(importer, ops.PowOp, base, exponent, dtype=dtype)


def _small_power(importer: Importer, base: Value, exponent: Any, dtype: Any) -> Value | None:
    if exponent == 0:
        return None
    work = working_dtype(dtype, 0.1)
    x = importer.convert(base, work)
    power: Value | None = None
    if isinstance(exponent, int | float) and exponent in (1, 2, 3, 4) and dtype.label != "bool":
        power = x
        for _ in range(int(exponent) - 1):
            power = importer.emit(MulOp, power, x)
    elif dtype.is_float and abs(exponent) == 0.5 and dtype is not DType.FLOAT16:
        # The root of -inf is NaN and its power inf: torch takes the root in all dtypes but float16.
        power = importer.emit(SqrtOp if exponent > 0 else RsqrtOp, x)
    elif dtype.is_float and exponent in (-1, -2):
        power = importer.emit(ReciprocalOp, x if exponent == -1 else importer.emit(MulOp, x, x))
    return importer.convert(power, dtype) if power is not None else None


@converts(
    "aten.clamp.default",
    "aten.clamp.Tensor",
    "aten.clamp_min.default",
    "aten.clamp_min.Tensor",
    "aten.clamp_max.default",
    "aten.clamp_max.Tensor",
    "aten.hardtanh.default",
)
def convert_clamp(importer: Importer, node: Any, operand: Value, first: Any = None, second: Any = None) -> Value:
    dtype = promoted_dtype(*node.args)
    if "hardtanh" in str(node.target):
        dtype = meta_of(operand).dtype
        first, second = (-1.0 if first is None else first), (1.0 if second is None else second)
    if "clamp_max" in str(node.target):
        first, second = None, first
    return emit_pointwise(importer, ClampOp, operand, first, second, dtype=dtype)


@converts("aten.lerp.Scalar", "aten.lerp.Tensor")
def convert_lerp(importer: Importer, node: Any, start: Value, end: Value, weight: Any) -> Value:
    return emit_pointwise(importer, LerpOp, start, end, weight, dtype=promoted_dtype(*node.args))


@converts("aten.addcmul.default", "aten.addcdiv.default")
def convert_accumulation(
    importer: Importer, node: Any, operand: Value, lhs: Value, rhs: Value, *, value: Any = 1
) -> Value:
    op = AddcmulOp if str(node.target) == "aten.addcmul.default" else AddcdivOp
    return emit_pointwise(importer, op, operand, lhs, rhs, value, dtype=promoted_dtype(*node.args))
