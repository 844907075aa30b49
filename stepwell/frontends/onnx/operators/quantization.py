"""Quantized tensors: integers with a scale and a shift."""

from typing import Any

import torch

from stepwell.frontends.onnx.dtypes import torch_dtype
from stepwell.frontends.onnx.registry import Call, operator
from stepwell.frontends.onnx.values import Value, as_tensor
from stepwell.support.errors import ImportProgramError


def _along(call: Call, parameter: Any, x: Any) -> Any:
    """Return a parameter per channel in the shape that broadcasts."""
    axis = call.get("axis", 1)
    if call.get("block_size", 0):
        raise ImportProgramError(f"node '{call.name}': scales per block are not supported")
    if parameter.dim() != 1 or parameter.shape[0] == 1:
        return parameter
    return parameter.reshape([-1 if dim == axis % x.dim() else 1 for dim in range(x.dim())])


@operator("QuantizeLinear")
def quantize(call: Call, x: Any, scale: Any, shift: Value = None) -> Any:
    dtype = torch_dtype(call.get("output_dtype", 0) or 2) if shift is None else as_tensor(shift).dtype
    bounds = torch.iinfo(dtype)
    steps = (x / _along(call, scale, x)).round()
    if shift is not None:
        steps = steps + _along(call, as_tensor(shift), x).to(steps.dtype)
    return steps.clamp(bounds.min, bounds.max).to(dtype)


@operator("DequantizeLinear")
def dequantize(call: Call, x: Any, scale: Any, shift: Value = None) -> Any:
    wide = x.to(torch.int32)
    if shift is not None:
        wide = wide - _along(call, as_tensor(shift), x).to(torch.int32)
    return wide.to(scale.dtype) * _along(call, scale, x)


@operator("DynamicQuantizeLinear")
def quantize_dynamically(call: Call, x: Any) -> Any:
    low, high = x.amin().clamp(max=0), x.amax().clamp(min=0)
    scale = (high - low) / 255
    shift = (-low / scale).clamp(0, 255).round()
    return ((x / scale).round() + shift).clamp(0, 255).to(torch.uint8), scale, shift.to(torch.uint8)
