"""Affine quantization: the ops of quantized programs, as arithmetic on integers and floats.

Source: the ``quantized_decomposed`` ops of torch, whose order of rounding, shift and clamp differs from op to op.
"""

from typing import TypeAlias

import torch
from torch import Tensor

from stepwell.frontends.torch.compositions import composes

Parameter: TypeAlias = Tensor | float | int


def _wide(operand: Tensor) -> Tensor:
    return operand.float() if operand.dtype in (torch.float16, torch.bfloat16) else operand


def _along(parameter: Tensor, rank: int, axis: int) -> Tensor:
    """Return a parameter per channel in the shape that broadcasts along ``axis``."""
    shape = [1] * rank
    shape[axis] = -1
    return parameter.view(shape)


def _inverse(scale: Parameter) -> Parameter:
    return 1.0 / scale


@composes("quantized_decomposed.quantize_per_tensor.default")
@composes("quantized_decomposed.quantize_per_tensor.tensor")
@composes("quantized_decomposed.quantize_per_tensor.tensor2")
def quantize(
    operand: Tensor, scale: Parameter, zero_point: Parameter, least: Parameter, most: Parameter, dtype: torch.dtype
) -> Tensor:
    """``clamp(round(x / scale) + zero_point)``; round to even."""
    shifted = (_wide(operand) * _inverse(scale)).round() + zero_point
    return shifted.clamp(least, most).to(dtype)


@composes("quantized_decomposed.dequantize_per_tensor.default")
@composes("quantized_decomposed.dequantize_per_tensor.tensor")
@composes("quantized_decomposed.dequantize_per_tensor.tensor2")
def dequantize(
    operand: Tensor,
    scale: Parameter,
    zero_point: Parameter,
    least: Parameter,
    most: Parameter,
    dtype: torch.dtype,
    *,
    out_dtype: torch.dtype | None = None,
) -> Tensor:
    """``(x - zero_point) * scale``."""
    wanted = out_dtype or torch.float32
    return ((operand.to(wanted) - zero_point) * scale).to(wanted)


@composes("quantized_decomposed.quantize_per_channel.default")
def quantize_per_channel(
    operand: Tensor, scales: Tensor, zero_points: Tensor, axis: int, least: int, most: int, dtype: torch.dtype
) -> Tensor:
    """As ``quantize``, with a scale and a shift per channel."""
    rank = operand.dim()
    return quantize(operand, _along(scales, rank, axis), _along(zero_points, rank, axis), least, most, dtype)


@composes("quantized_decomposed.dequantize_per_channel.default")
def dequantize_per_channel(
    operand: Tensor,
    scales: Tensor,
    zero_points: Tensor | None,
    axis: int,
    least: int,
    most: int,
    dtype: torch.dtype,
    *,
    out_dtype: torch.dtype | None = None,
) -> Tensor:
    """As ``dequantize``, with a scale and a shift per channel."""
    wanted, rank = out_dtype or torch.float32, operand.dim()
    shifted = operand if zero_points is None else operand - _along(zero_points, rank, axis)
    return (shifted * _along(scales, rank, axis)).to(wanted)


@composes("quantized_decomposed.quantize_per_token.default")
def quantize_per_token(
    operand: Tensor, scales: Tensor, zero_points: Tensor, least: int, most: int, dtype: torch.dtype
) -> Tensor:
    """``clamp(round(x / scale + zero_point))`` with a scale and a shift per row."""
    return (operand * _inverse(scales) + zero_points).round().clamp(least, most).to(dtype)


@composes("quantized_decomposed.dequantize_per_token.default")
def dequantize_per_token(
    operand: Tensor,
    scales: Tensor,
    zero_points: Tensor,
    least: int,
    most: int,
    dtype: torch.dtype,
    output_dtype: torch.dtype = torch.float32,
) -> Tensor:
    """``(x - zero_point) * scale`` with a scale and a shift per row."""
    return ((operand - zero_points) * scales).to(output_dtype)


def _grouped(operand: Tensor, scales: Tensor, size: int) -> Tensor:
    width = operand.shape[-1]
    return operand.reshape(-1, width if size > width and scales.shape[-1] == 1 else size)


@composes("quantized_decomposed.quantize_per_channel_group.default")
def quantize_per_channel_group(
    operand: Tensor,
    scales: Tensor,
    zero_points: Tensor,
    least: int,
    most: int,
    dtype: torch.dtype,
    group_size: int = 128,
) -> Tensor:
    """As ``quantize_per_token`` for each group of ``group_size`` neighbours in a row."""
    groups = _grouped(operand, scales, group_size)
    found = quantize_per_token(groups, scales.reshape(-1, 1), zero_points.reshape(-1, 1), least, most, dtype)
    return found.reshape(operand.shape)


@composes("quantized_decomposed.dequantize_per_channel_group.default")
def dequantize_per_channel_group(
    operand: Tensor,
    scales: Tensor,
    zero_points: Tensor | None,
    least: int,
    most: int,
    dtype: torch.dtype,
    group_size: int = 128,
    output_dtype: torch.dtype = torch.float32,
) -> Tensor:
    """As ``dequantize_per_token`` for each group of ``group_size`` neighbours in a row."""
    groups, factors = _grouped(operand, scales, group_size), scales.reshape(-1, 1)
    shifted = groups if zero_points is None else groups - zero_points.reshape(-1, 1)
    return (shifted * factors).reshape(operand.shape).to(output_dtype)


# -- parameters from data ------------------------------------------------------------------------------------------


@composes("quantized_decomposed.choose_qparams.tensor")
def choose_parameters(operand: Tensor, least: int, most: int, eps: float, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """A scale and a shift with which zero is exact and all elements fit; float64[1] and int64[1]."""
    low, high = operand.amin().clamp(max=0), operand.amax().clamp(min=0)
    scale = ((high - low) / float(most - least)).clamp(min=eps)
    shift = (least - (low / scale).round().to(torch.int32)).clamp(least, most)
    return scale.to(torch.float64).view(1), shift.to(torch.int64).view(1)


@composes("quantized_decomposed.choose_qparams_symmetric.tensor")
def choose_symmetric_parameters(
    operand: Tensor, least: int, most: int, eps: float, dtype: torch.dtype
) -> tuple[Tensor, Tensor]:
    """A scale with which the largest element fits; the shift is the middle of the range."""
    largest = torch.maximum(-operand.amin().clamp(max=0), operand.amax().clamp(min=0))
    scale = (largest / (float(most - least) / 2)).clamp(min=eps)
    shift = torch.full((1,), 128 if dtype == torch.uint8 else 0, dtype=torch.int64, device=operand.device)
    return scale.to(torch.float64).view(1), shift


@composes("quantized_decomposed.choose_qparams_per_token.default")
def choose_parameters_per_token(operand: Tensor, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """A scale per row with which its largest element becomes 127."""
    scales = _half_as_float(operand.abs().amax(-1, keepdim=True)).clamp(min=1e-5) / 127
    return scales.to(torch.float64), torch.zeros_like(scales, dtype=torch.int64)


def _half_as_float(operand: Tensor) -> Tensor:
    return operand.float() if operand.dtype == torch.float16 else operand


@composes("quantized_decomposed.choose_qparams_per_token_asymmetric.default")
@composes("quantized_decomposed._choose_qparams_per_token_asymmetric_impl.default")
def choose_asymmetric_parameters_per_token(operand: Tensor, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """A scale and a shift per row; the shift is the one of two with the smaller error."""
    least, most = -128, 127
    low, high = operand.amin(-1, keepdim=True).clamp(max=0), operand.amax(-1, keepdim=True).clamp(min=0)
    scale = ((high - low) / float(most - least)).clamp(min=torch.finfo(torch.float32).eps)
    from_low, from_high = least + low / scale, most + high / scale
    shift = torch.where(from_low + from_high > 0, least - low / scale, most - high / scale)
    return scale.to(torch.float64), shift.clamp(least, most).round().to(torch.int64)


# -- quantization that is only simulated -----------------------------------------------------------------------------


def _simulated(
    operand: Tensor, scale: Parameter, zero_point: Parameter, least: int, most: int
) -> tuple[Tensor, Tensor]:
    shifted = (operand * _inverse(scale)).round() + zero_point
    inside = (shifted >= least) & (shifted <= most)
    return ((shifted.clamp(least, most) - zero_point) * scale).to(operand.dtype), inside


@composes("aten.fake_quantize_per_tensor_affine_cachemask.default")
def fake_quantize(operand: Tensor, scale: float, zero_point: int, least: int, most: int) -> tuple[Tensor, Tensor]:
    """The nearest number that quantization can represent, and whether none is clamped there."""
    return _simulated(operand, scale, zero_point, least, most)


@composes("aten._fake_quantize_per_tensor_affine_cachemask_tensor_qparams.default")
def fake_quantize_with_tensors(
    operand: Tensor, scale: Tensor, zero_point: Tensor, enabled: Tensor, least: int, most: int
) -> tuple[Tensor, Tensor]:
    """The same with parameters in tensors, and with a switch."""
    made, inside = _simulated(operand, scale, zero_point, least, most)
    on = enabled != 0
    return torch.where(on, made, operand), inside | ~on


@composes("aten.fake_quantize_per_channel_affine_cachemask.default")
def fake_quantize_per_channel(
    operand: Tensor, scale: Tensor, zero_point: Tensor, axis: int, least: int, most: int
) -> tuple[Tensor, Tensor]:
    """The same with parameters per channel."""
    rank = operand.dim()
    return _simulated(operand, _along(scale, rank, axis), _along(zero_point, rank, axis), least, most)


@composes("quantized_decomposed.fake_quant_per_channel.default")
def fake_quantize_per_channel_alone(
    operand: Tensor, scales: Tensor, zero_points: Tensor, axis: int, least: int, most: int
) -> Tensor:
    """The same, without the mask."""
    return fake_quantize_per_channel(operand, scales, zero_points, axis, least, most)[0]


# -- products of small integers ------------------------------------------------------------------------------------


@composes("aten._int_mm.default")
def int_mm(lhs: Tensor, rhs: Tensor) -> Tensor:
    """A product of int8 matrices, summed in int32."""
    return lhs.to(torch.int32) @ rhs.to(torch.int32)


@composes("aten._weight_int8pack_mm.default")
def weight_int8_mm(operand: Tensor, weight: Tensor, scales: Tensor) -> Tensor:
    """A product with int8 weights [N, K], whose rows have scales."""
    return (operand @ weight.to(operand.dtype).t()) * scales


@composes("quantized_decomposed.convert_element_type.no_fuse")
def convert_element_type(operand: Tensor, dtype: torch.dtype) -> Tensor:
    """A cast."""
    return operand.to(dtype)
