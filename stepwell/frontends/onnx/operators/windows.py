"""Operators that slide a window: pools, and how ONNX pads."""

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as functions

from stepwell.frontends.onnx.registry import Call, operator
from stepwell.support.errors import ImportProgramError

_MAX = {1: functions.max_pool1d, 2: functions.max_pool2d, 3: functions.max_pool3d}
_AVERAGE = {1: functions.avg_pool1d, 2: functions.avg_pool2d, 3: functions.avg_pool3d}


def paddings(
    call: Call, sizes: Sequence[Any], kernel: Sequence[int], strides: Sequence[int], dilations: Sequence[int]
) -> tuple[list[Any], list[Any]]:
    """Return what is added before and after each spatial dimension."""
    rank, mode = len(kernel), call.get("auto_pad", "NOTSET")
    if mode == "VALID":
        return [0] * rank, [0] * rank
    if mode == "NOTSET":
        pads = call.get("pads", [0] * 2 * rank)
        return list(pads[:rank]), list(pads[rank:])
    totals = [
        max(0, (-(-size // step) - 1) * step + (width - 1) * gap + 1 - size)
        for size, width, step, gap in zip(sizes, kernel, strides, dilations, strict=True)
    ]
    small = [total // 2 for total in totals]
    large = [total - half for total, half in zip(totals, small, strict=True)]
    return (small, large) if mode == "SAME_UPPER" else (large, small)


def _pairs(before: Sequence[Any], after: Sequence[Any]) -> list[Any]:
    """Return paddings in torch's order: last dimension first."""
    return [pad for pair in reversed(list(zip(before, after, strict=True))) for pad in pair]


@operator("MaxPool")
def max_pool(call: Call, x: Any) -> Any:
    if call.outputs > 1:
        raise ImportProgramError(f"node '{call.name}': positions from MaxPool are not supported")
    kernel, rank = call.get("kernel_shape"), x.dim() - 2
    strides, dilations = call.get("strides", [1] * rank), call.get("dilations", [1] * rank)
    before, after = paddings(call, x.shape[2:], kernel, strides, dilations)
    ceil = bool(call.get("ceil_mode", 0))
    if before != after or any(2 * pad > width for pad, width in zip(before, kernel, strict=True)):
        least = -torch.inf if x.dtype.is_floating_point else torch.iinfo(x.dtype).min
        x, before = functions.pad(x, _pairs(before, after), value=least), [0] * rank
    return _MAX[rank](x, kernel, strides, before, dilations, ceil)


@operator("AveragePool")
def average_pool(call: Call, x: Any) -> Any:
    kernel, rank = call.get("kernel_shape"), x.dim() - 2
    strides, dilations = call.get("strides", [1] * rank), call.get("dilations", [1] * rank)
    before, after = paddings(call, x.shape[2:], kernel, strides, dilations)
    ceil, counts_padding = bool(call.get("ceil_mode", 0)), bool(call.get("count_include_pad", 0))
    if any(gap != 1 for gap in dilations):
        raise ImportProgramError(f"node '{call.name}': AveragePool with dilations is not supported")
    if before == after and all(2 * pad <= width for pad, width in zip(before, kernel, strict=True)):
        return _AVERAGE[rank](x, kernel, strides, before, ceil, counts_padding)
    pairs = _pairs(before, after)
    total = _AVERAGE[rank](functions.pad(x, pairs), kernel, strides, 0, ceil)
    if counts_padding:
        return total
    share = _AVERAGE[rank](functions.pad(torch.ones_like(x), pairs), kernel, strides, 0, ceil)
    return total / share


@operator("GlobalAveragePool")
def global_average_pool(call: Call, x: Any) -> Any:
    return x.mean(tuple(range(2, x.dim())), keepdim=True)


@operator("GlobalMaxPool")
def global_max_pool(call: Call, x: Any) -> Any:
    return x.amax(tuple(range(2, x.dim())), keepdim=True)
