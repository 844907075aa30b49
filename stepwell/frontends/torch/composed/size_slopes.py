"""Activations with numbers computed from sizes, such as a slope of ``1 / x.shape[-1]``: ours have constants there."""

from typing import Any

import torch
from torch import Tensor

from stepwell.frontends.torch.compositions import composes_some


def _of_sizes(operand: Any, *numbers: Any, **named: Any) -> bool:
    values = (number.meta.get("val") if isinstance(number, torch.fx.Node) else number for number in numbers)
    return any(isinstance(value, torch.SymFloat | torch.SymInt) for value in (*values, *named.values()))


@composes_some("aten.leaky_relu.default", _of_sizes)
def leaky_relu(operand: Tensor, negative_slope: float = 0.01) -> Tensor:
    """``x`` above 0, ``negative_slope * x`` below."""
    return torch.where(operand > 0, operand, operand * negative_slope)


@composes_some("aten.elu.default", _of_sizes)
def elu(operand: Tensor, alpha: float = 1, scale: float = 1, input_scale: float = 1) -> Tensor:
    """``scale * x`` above 0, ``scale * alpha * (exp(x * input_scale) - 1)`` below."""
    below = torch.expm1(operand.clamp(max=0) * input_scale) * alpha
    return torch.where(operand > 0, operand, below) * scale


@composes_some("aten.celu.default", _of_sizes)
def celu(operand: Tensor, alpha: float = 1) -> Tensor:
    """``x`` above 0, ``alpha * (exp(x / alpha) - 1)`` below."""
    return elu(operand, alpha, 1, 1 / alpha)


@composes_some("aten.softplus.default", _of_sizes)
def softplus(operand: Tensor, beta: float = 1, threshold: float = 20) -> Tensor:
    """``log(1 + exp(x * beta)) / beta``, and ``x`` where ``x * beta`` is above the threshold."""
    scaled = operand * beta
    smooth = torch.log1p(torch.exp(scaled.clamp(max=threshold))) / beta
    return torch.where(scaled > threshold, operand, smooth)
