"""Products and convolutions."""

from typing import Any

import torch
import torch.nn.functional as functions

from stepwell.frontends.onnx.operators.windows import paddings
from stepwell.frontends.onnx.registry import Call, operator

_CONVOLUTIONS = {1: functions.conv1d, 2: functions.conv2d, 3: functions.conv3d}
_TRANSPOSED = {1: functions.conv_transpose1d, 2: functions.conv_transpose2d, 3: functions.conv_transpose3d}


@operator("MatMul")
def matmul(call: Call, a: Any, b: Any) -> Any:
    return torch.matmul(a, b)


@operator("Gemm")
def gemm(call: Call, a: Any, b: Any, c: Any = None) -> Any:
    product = (a.t() if call.get("transA", 0) else a) @ (b.t() if call.get("transB", 0) else b)
    if (alpha := call.get("alpha", 1.0)) != 1.0:
        product = product * alpha
    if c is None:
        return product
    return product + (c if (beta := call.get("beta", 1.0)) == 1.0 else c * beta)


@operator("Einsum")
def einsum(call: Call, *operands: Any) -> Any:
    return torch.einsum(call.get("equation"), *operands)


@operator("Conv")
def convolution(call: Call, x: Any, weight: Any, bias: Any = None) -> Any:
    rank = x.dim() - 2
    strides, dilations = call.get("strides", [1] * rank), call.get("dilations", [1] * rank)
    before, after = paddings(call, x.shape[2:], weight.shape[2:], strides, dilations)
    if before != after:
        x = functions.pad(x, [pad for pair in reversed(list(zip(before, after, strict=True))) for pad in pair])
        before = [0] * rank
    return _CONVOLUTIONS[rank](x, weight, bias, strides, before, dilations, call.get("group", 1))


@operator("ConvTranspose")
def transposed_convolution(call: Call, x: Any, weight: Any, bias: Any = None) -> Any:
    rank = x.dim() - 2
    strides, dilations = call.get("strides", [1] * rank), call.get("dilations", [1] * rank)
    extra, pads = list(call.get("output_padding", [0] * rank)), list(call.get("pads", [0] * 2 * rank))
    wanted = call.get("output_shape")
    mode = call.get("auto_pad", "NOTSET")
    if wanted is None and mode in ("SAME_UPPER", "SAME_LOWER"):
        wanted = [size * step for size, step in zip(x.shape[2:], strides, strict=True)]
    if wanted is not None:
        full = [
            (size - 1) * step + (width - 1) * gap + 1 + more
            for size, step, width, gap, more in zip(
                x.shape[2:], strides, weight.shape[2:], dilations, extra, strict=True
            )
        ]
        # What is missing is added at the end, what is too much is cut off at both.
        extra = [more + max(want - have, 0) for more, have, want in zip(extra, full, wanted, strict=True)]
        cut = [max(have - want, 0) for have, want in zip(full, wanted, strict=True)]
        begin = [each // 2 if mode == "SAME_UPPER" else each - each // 2 for each in cut]
        pads = [*begin, *(each - first for each, first in zip(cut, begin, strict=True))]
    # torch cuts both ends alike; the rest is cut off here.
    made = _TRANSPOSED[rank](x, weight, bias, strides, 0, extra, call.get("group", 1), dilations)
    for dim in range(rank):
        made = made.narrow(dim + 2, pads[dim], made.shape[dim + 2] - pads[dim] - pads[dim + rank])
    return made


@operator("MatMulInteger")
def matmul_integer(call: Call, a: Any, b: Any, a_shift: Any = None, b_shift: Any = None) -> Any:
    return _shifted(a, a_shift, -2) @ _shifted(b, b_shift, -1)


def _shifted(operand: Any, shift: Any, axis: int) -> Any:
    wide = operand.to(torch.int32)
    if shift is None:
        return wide
    shift = shift.to(torch.int32)
    return wide - (shift.unsqueeze(-1 if axis == -2 else 0) if shift.dim() else shift)
