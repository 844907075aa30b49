"""Convolutions."""

from collections.abc import Sequence
from typing import Any

from stepwell.dialects.graph.convolution import ConvolutionOp, TransposedConvolutionOp
from stepwell.dialects.graph.shape import FlipOp
from stepwell.dialects.graph.types import ONE, meta_of
from stepwell.frontends.torch.converters.assembly import padded_with_zeros
from stepwell.frontends.torch.converters.shape import ZERO, Size, permute, reshape, shape_of, slice_along
from stepwell.frontends.torch.importer import Importer, Value
from stepwell.frontends.torch.registry import converts
from stepwell.support.symbolic import Expr


def per_dimension(values: Any, dims: int) -> list[Size]:
    """Return one value per dimension; a single one serves all."""
    listed = [values] if isinstance(values, int | Expr) else list(values)
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
        operand = reshape(importer, operand, [ONE, *shape_of(operand)])
    strides, pads, dilations = (per_dimension(values, dims) for values in (stride, padding, dilation))
    if transposed:
        extra = per_dimension(output_padding, dims)
        if all(map(_is_known, (*shape_of(weight)[2:], *pads, *extra))):
            result = importer.emit(
                TransposedConvolutionOp,
                operand,
                weight,
                bias,
                stride=strides,
                padding=pads,
                dilation=dilations,
                output_padding=extra,
                groups=groups,
            )
            return result if batched else reshape(importer, result, shape_of(result)[1:])
        reach = [(size - 1) * step for size, step in zip(shape_of(weight)[2:], dilations, strict=True)]
        pads = [size - pad for size, pad in zip(reach, pads, strict=True)]
        operand = _padded(importer, _spread(importer, operand, strides), pads, extra)
        weight = _turned(importer, weight, groups)
        strides, pads = [1] * dims, [0] * dims
    elif not all(map(_is_known, pads)):
        operand, pads = _padded(importer, operand, pads, [0] * dims), [0] * dims
    result = importer.emit(
        ConvolutionOp, operand, weight, bias, stride=strides, padding=pads, dilation=dilations, groups=groups
    )
    return result if batched else reshape(importer, result, shape_of(result)[1:])


def _is_known(size: Size) -> bool:
    return Expr.of(size).is_constant


def _padded(importer: Importer, operand: Value, pads: Sequence[Size], extra: Sequence[Size]) -> Value:
    """Put zeros around images, as many on both sides and ``extra`` more behind them; negative numbers crop."""
    sides = [side for pad, more in zip(pads, extra, strict=True) for side in (Expr.of(pad), Expr.of(pad) + more)]
    return padded_with_zeros(importer, operand, [ZERO] * 4 + sides)


def _spread(importer: Importer, operand: Value, strides: Sequence[Size]) -> Value:
    """Put zeros between the elements of images, so that they lie ``strides`` apart."""
    for dim, stride in enumerate(strides, 2):
        if stride == 1:
            continue
        shape = list(shape_of(operand))
        apart = reshape(importer, operand, [*shape[: dim + 1], ONE, *shape[dim + 1 :]])
        sides = [ZERO] * (2 * dim + 2) + [ZERO, Expr.of(stride) - 1] + [ZERO] * (2 * (len(shape) - dim - 1))
        filled = padded_with_zeros(importer, apart, sides)
        whole = shape[dim] * stride
        joined = reshape(importer, filled, [*shape[:dim], whole, *shape[dim + 1 :]])
        operand = slice_along(importer, joined, dim, ZERO, whole - stride + 1)
    return operand


def _turned(importer: Importer, weight: Value, groups: int) -> Value:
    """Return the weight ``[O, C / groups, *kernel]`` that gathers what ``[C, O / groups, *kernel]`` spreads."""
    channels, outputs, *kernel = shape_of(weight)
    split = reshape(importer, weight, [groups, channels // groups, outputs, *kernel])
    order = [0, 2, 1, *range(3, 3 + len(kernel))]
    joined = reshape(importer, permute(importer, split, order), [outputs * groups, channels // groups, *kernel])
    return importer.emit(FlipOp, joined, dims=list(range(2, 2 + len(kernel))))
