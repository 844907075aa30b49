"""Convolutions."""

from typing import Any

from stepwell.dialects.graph.convolution import ConvolutionOp, TransposedConvolutionOp
from stepwell.dialects.graph.shape import ReshapeOp
from stepwell.dialects.graph.types import ONE, meta_of
from stepwell.frontends.torch.importer import Importer, Value
from stepwell.frontends.torch.registry import converts


def per_dimension(values: Any, dims: int) -> list[int]:
    """Return one value per dimension; a single one serves all."""
    listed = [values] if isinstance(values, int) else list(values)
    return listed * dims if len(listed) == 1 else listed


@converts("aten.convolution.default")
def convert_convolution(
    importer: Importer,
    node: Any,
    operand: Value,
    weight: Value,
    bias: Value | None,
    stride: Any,
    padding: Any,
    dilation: Any,
    transposed: bool,
    output_padding: Any,
    groups: int,
) -> Value:
    """An operand without a batch dimension gets one for the time of the convolution."""
    dims = meta_of(weight).rank - 2
    batched = meta_of(operand).rank == dims + 2
    if not batched:
        operand = importer.emit(ReshapeOp, operand, sizes=[ONE, *meta_of(operand).shape])
    fields = {
        "stride": per_dimension(stride, dims),
        "padding": per_dimension(padding, dims),
        "dilation": per_dimension(dilation, dims),
        "groups": groups,
    }
    if transposed:
        fields["output_padding"] = per_dimension(output_padding, dims)
        result = importer.emit(TransposedConvolutionOp, operand, weight, bias, **fields)
    else:
        result = importer.emit(ConvolutionOp, operand, weight, bias, **fields)
    return result if batched else importer.emit(ReshapeOp, result, sizes=meta_of(result).shape[1:])
