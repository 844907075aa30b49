"""Complex random numbers: two real ones each, of half the variance where they are normal."""

import math
from typing import Any

import torch
from torch import Tensor

from stepwell.frontends.torch.complex_compositions import composes_complex


@composes_complex("prims.normal.default")
def normal(
    shape: Any,
    *,
    mean: complex,
    std: float,
    dtype: torch.dtype,
    device: torch.device,
    requires_grad: bool,
    generator: None = None,
) -> Tensor:
    """Of a mean and a standard deviation."""
    parts = [
        torch.randn(shape, dtype=dtype.to_real(), device=device) * (std * math.sqrt(0.5)) + middle
        for middle in (complex(mean).real, complex(mean).imag)
    ]
    return torch.complex(*parts)


@composes_complex("prims.uniform.default")
def uniform(
    shape: Any,
    *,
    low: float,
    high: float,
    dtype: torch.dtype,
    device: torch.device,
    stride: Any = None,
    generator: None = None,
) -> Tensor:
    """Both parts between the bounds."""
    parts = [torch.rand(shape, dtype=dtype.to_real(), device=device) * (high - low) + low for _ in range(2)]
    return torch.complex(*parts)


@composes_complex("aten.rand.default")
def rand(
    size: Any, *, dtype: torch.dtype, layout: Any = None, device: torch.device | None = None, pin_memory: Any = None
) -> Tensor:
    """Both parts in [0, 1)."""
    parts = [torch.rand(size, dtype=dtype.to_real(), device=device) for _ in range(2)]
    return torch.complex(*parts)


@composes_complex("aten.randn_like.default")
def normal_like(operand: Tensor, *, dtype: torch.dtype | None = None, **options: Any) -> Tensor:
    """Of a tensor's shape, and of its dtype or another."""
    return torch.randn(operand.shape, dtype=dtype or operand.dtype, device=operand.device)


@composes_complex("aten.rand_like.default")
def uniform_like(operand: Tensor, *, dtype: torch.dtype | None = None, **options: Any) -> Tensor:
    """Of a tensor's shape, and of its dtype or another."""
    return torch.rand(operand.shape, dtype=dtype or operand.dtype, device=operand.device)
