"""Activation functions."""

from typing import Any

from stepwell.dialects.graph import activation as ops
from stepwell.dialects.graph.comparison import GtOp, WhereOp
from stepwell.dialects.graph.elementwise import MulOp
from stepwell.dialects.graph.types import meta_of
from stepwell.frontends.torch.importer import Importer, Value
from stepwell.frontends.torch.promotion import emit_pointwise, pointwise_converter, promoted_dtype
from stepwell.frontends.torch.registry import converts

_PLAIN = {
    "silu": ops.SiluOp,
    "hardsigmoid": ops.HardsigmoidOp,
    "hardswish": ops.HardswishOp,
    "mish": ops.MishOp,
    "log_sigmoid": ops.LogSigmoidOp,
}
_SELU_ALPHA = 1.6732632423543772848170429916717
_SELU_SCALE = 1.0507009873554804934193349852946

for _name, _op in _PLAIN.items():
    converts(f"aten.{_name}.default")(pointwise_converter(_op))


@converts("aten.gelu.default")
def convert_gelu(importer: Importer, node: Any, operand: Value, *, approximate: str = "none") -> Value:
    return importer.emit(ops.GeluOp, operand, approximate=approximate)


@converts("aten.leaky_relu.default")
def convert_leaky_relu(importer: Importer, node: Any, operand: Value, negative_slope: float = 0.01) -> Value:
    return importer.emit(ops.LeakyReluOp, operand, negative_slope=float(negative_slope))


@converts("aten.elu.default")
def convert_elu(
    importer: Importer, node: Any, operand: Value, alpha: float = 1, scale: float = 1, input_scale: float = 1
) -> Value:
    return _elu(importer, operand, alpha, scale, input_scale)


@converts("aten.celu.default")
def convert_celu(importer: Importer, node: Any, operand: Value, alpha: float = 1) -> Value:
    return _elu(importer, operand, alpha, 1, 1 / alpha)


@converts("aten.selu.default")
def convert_selu(importer: Importer, node: Any, operand: Value) -> Value:
    return _elu(importer, operand, _SELU_ALPHA, _SELU_SCALE, 1)


def _elu(importer: Importer, operand: Value, alpha: float, scale: float, input_scale: float) -> Value:
    return importer.emit(ops.EluOp, operand, alpha=float(alpha), scale=float(scale), input_scale=float(input_scale))


@converts("aten.softplus.default")
def convert_softplus(importer: Importer, node: Any, operand: Value, beta: float = 1, threshold: float = 20) -> Value:
    return importer.emit(ops.SoftplusOp, operand, beta=float(beta), threshold=float(threshold))


@converts("aten.logit.default")
def convert_logit(importer: Importer, node: Any, operand: Value, eps: float | None = None) -> Value:
    dtype = promoted_dtype(node.args[0], to_float=True)
    return importer.emit(ops.LogitOp, importer.convert(operand, dtype), eps=None if eps is None else float(eps))


@converts("aten._prelu_kernel.default")
def convert_prelu(importer: Importer, node: Any, operand: Value, weight: Value) -> Value:
    dtype = meta_of(operand).dtype
    positive = importer.emit(GtOp, operand, importer.constant(0, dtype))
    scaled = emit_pointwise(importer, MulOp, operand, weight, dtype=dtype)
    return importer.emit(WhereOp, positive, operand, scaled)
