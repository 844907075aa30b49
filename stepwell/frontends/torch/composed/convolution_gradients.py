"""Gradients of convolutions, as convolutions: what serves the one serves the others."""

from collections.abc import Sequence

import torch
from torch import Tensor

from stepwell.frontends.torch.compositions import composes


def _per_dimension(values: Sequence[int], dims: int) -> list[int]:
    return list(values) * dims if len(values) == 1 else list(values)


def _crop(result: Tensor, sizes: Sequence[int]) -> Tensor:
    """Keep the first ``sizes`` elements of the last dimensions."""
    for dim, size in enumerate(sizes, result.dim() - len(sizes)):
        result = result.narrow(dim, 0, size)
    return result


def _of_operand(grad: Tensor, operand: Tensor, weight: Tensor, windows: Sequence[list[int]], groups: int) -> Tensor:
    """The transposed convolution.

    Strides leave up to ``stride - 1`` elements at the end that no window reached.  All that there can be are computed,
    and cut off where sizes are symbolic.
    """
    stride, padding, dilation = windows
    sizes = operand.shape[2:]
    extra = [step - 1 for step in stride]
    if all(isinstance(size, int) for size in (*sizes, *grad.shape[2:])):
        extra = [
            size - ((out - 1) * step - 2 * pad + dilate * (taps - 1) + 1)
            for size, out, taps, step, pad, dilate in zip(
                sizes, grad.shape[2:], weight.shape[2:], stride, padding, dilation, strict=True
            )
        ]
    found = torch.ops.aten.convolution(grad, weight, None, stride, padding, dilation, True, extra, groups)
    return _crop(found, sizes)


def _of_weight(grad: Tensor, operand: Tensor, weight: Tensor, windows: Sequence[list[int]], groups: int) -> Tensor:
    """The convolution of the operand with the result's gradient, over the batch instead of over the channels.

    Stride and dilation change places: tap ``k`` of output ``o`` met the element ``o * stride + k * dilation``.
    """
    stride, padding, dilation = windows
    batch, outputs = operand.shape[0], grad.shape[1]
    inputs = operand.shape[1] // groups
    by_channel = operand.unflatten(1, (groups, inputs)).movedim(0, 1).movedim(2, 0)
    rows = by_channel.reshape(inputs, groups * batch, *operand.shape[2:])
    found = torch.ops.aten.convolution(
        rows, grad.transpose(0, 1), None, dilation, padding, stride, False, [0] * len(stride), groups
    )
    return _crop(found.transpose(0, 1), weight.shape[2:]).reshape(outputs, inputs, *weight.shape[2:])


@composes("aten.convolution_backward.default")
def convolution_backward(
    grad: Tensor,
    operand: Tensor,
    weight: Tensor,
    bias_sizes: Sequence[int] | None,
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
    transposed: bool,
    output_padding: Sequence[int],
    groups: int,
    output_mask: Sequence[bool],
) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
    """Gradients of operand, weight and bias; a transposed convolution's is a plain one, with the roles exchanged."""
    dims = weight.dim() - 2
    windows = [_per_dimension(values, dims) for values in (stride, padding, dilation)]
    for_operand = for_weight = None
    if output_mask[0]:
        if transposed:
            none = [0] * dims
            found = torch.ops.aten.convolution(grad, weight, None, *windows, False, none, groups)
            for_operand = _crop(found, operand.shape[2:])
        else:
            for_operand = _of_operand(grad, operand, weight, windows, groups)
    if output_mask[1]:
        slid, fixed = (grad, operand) if transposed else (operand, grad)
        for_weight = _of_weight(fixed, slid, weight, windows, groups)
    for_bias = grad.sum([0, *range(2, grad.dim())]) if output_mask[2] else None
    return for_operand, for_weight, for_bias
