"""Fold an inference batch norm into the convolution before it.

With ``s = weight / sqrt(var + eps)``, ``(conv(x, w) + b - mean) * s + beta`` is
``conv(x, w * s) + (b - mean) * s + beta``.  The new weights depend on parameters alone, so they end up in the
``prepare`` function and cost nothing per call.
"""

from typing import Any

from stepwell.dialects.graph.base import sizes_attribute
from stepwell.dialects.graph.binary import SubOp
from stepwell.dialects.graph.convolution import ConvolutionOp
from stepwell.dialects.graph.creation import ConstantOp
from stepwell.dialects.graph.elementwise import AddOp, MulOp
from stepwell.dialects.graph.normalization import BatchNormOp
from stepwell.dialects.graph.shape import ReshapeOp
from stepwell.dialects.graph.types import ONE, meta_of
from stepwell.dialects.graph.unary import RsqrtOp
from stepwell.passes.transforms.simplifications.patterns import Rewrite, has_one_use, producer, simplifies
from stepwell.support.bindings import ir


@simplifies(BatchNormOp)
def batch_norm_of_convolution(op: Any) -> Rewrite | str:
    """Scale the convolution's weight and bias instead of its result."""
    convolution = producer(op.operand, ConvolutionOp)
    if convolution is None:
        return "expect a batch norm of a convolution"
    if not has_one_use(convolution.result):
        return "expect a convolution without other users"
    if not _is_weight(convolution.weight):
        return "expect a constant weight"
    dtype = meta_of(convolution.weight).dtype
    if any(value is not None and meta_of(value).dtype is not dtype for value in (op.weight, op.bias, op.mean)):
        return "expect one dtype throughout"
    eps = ConstantOp.create(op.eps, ir.StringAttr.get(dtype.label)).result
    scale = RsqrtOp.create(AddOp.create(op.variance, eps).result).result
    if op.weight is not None:
        scale = MulOp.create(scale, op.weight).result
    weight = meta_of(convolution.weight)
    column = sizes_attribute([weight.shape[0], *[ONE] * (weight.rank - 1)])
    scaled = MulOp.create(convolution.weight, ReshapeOp.create(scale, column).result).result
    offset = op.mean
    if convolution.bias is not None:
        offset = SubOp.create(op.mean, convolution.bias).result
    shift = MulOp.create(offset, scale).result
    zero = ConstantOp.create(ir.FloatAttr.get(ir.F64Type.get(), 0.0), ir.StringAttr.get(dtype.label)).result
    bias = SubOp.create(op.bias if op.bias is not None else zero, shift).result
    folded = ConvolutionOp.create(
        convolution.operand,
        scaled,
        bias,
        convolution.stride,
        convolution.padding,
        convolution.dilation,
        convolution.groups,
    )
    return Rewrite((folded.result,))


def _is_weight(value: Any) -> bool:
    """Return whether ``value`` is an argument of the function that the user does not pass at each call."""
    if not isinstance(value.owner, ir.Block):
        return False
    function = value.owner.owner
    if "arg_attrs" not in function.attributes:
        return False
    attributes = ir.DictAttr(ir.ArrayAttr(function.attributes["arg_attrs"])[ir.BlockArgument(value).arg_number])
    kind = attributes["stepwell.kind"] if "stepwell.kind" in attributes else None
    return kind is not None and ir.StringAttr(kind).value in ("parameter", "constant")
