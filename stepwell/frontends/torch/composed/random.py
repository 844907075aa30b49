"""Distributions, of uniform and normal numbers.  ``torch.rand`` gives numbers in [0, 1)."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from stepwell.frontends.torch.compositions import composes


def _unit(operand: Tensor) -> Tensor:
    """Return numbers in (0, 1], in the dtype to compute in."""
    dtype = torch.float64 if operand.dtype == torch.float64 else torch.float32
    return 1 - torch.rand(operand.shape, dtype=dtype, device=operand.device)


@composes("aten.bernoulli.Tensor")
def bernoulli(operand: Tensor, p: Tensor, *, generator: None = None) -> Tensor:
    """One with a probability per element, of which the operand has the dtype and the shape alone."""
    return (1 - _unit(operand) < p).to(operand.dtype)


@composes("aten.exponential.default")
def exponential(operand: Tensor, lambd: float = 1.0, *, generator: None = None) -> Tensor:
    """By the inverse of the distribution function."""
    return (-_unit(operand).log() / lambd).to(operand.dtype)


@composes("aten.geometric.default")
def geometric(operand: Tensor, p: float, *, generator: None = None) -> Tensor:
    """The number of trials up to the first success, from 1."""
    trials = (_unit(operand).log() / math.log1p(-p)).ceil() if p < 1 else torch.ones(operand.shape)
    return trials.clamp(min=1).to(operand.dtype)


@composes("aten.normal_functional.default")
def normal(operand: Tensor, mean: float = 0.0, std: float = 1.0, *, generator: None = None) -> Tensor:
    """Of a mean and a standard deviation."""
    return torch.randn(operand.shape, dtype=operand.dtype, device=operand.device) * std + mean


@composes("aten.normal.Tensor_Tensor")
@composes("aten.normal.Tensor_float")
def normal_around(mean: Tensor, std: Tensor | float = 1.0, *, generator: None = None) -> Tensor:
    """Of a mean per element, and a standard deviation, per element or for all."""
    shape = torch.broadcast_shapes(mean.shape, std.shape) if isinstance(std, Tensor) else mean.shape
    return torch.randn(shape, dtype=mean.dtype, device=mean.device) * std + mean


@composes("aten.normal.float_Tensor")
def normal_within(mean: float, std: Tensor, *, generator: None = None) -> Tensor:
    """Of a standard deviation per element."""
    return torch.randn(std.shape, dtype=std.dtype, device=std.device) * std + mean


@composes("aten.normal.float_float")
def normal_of_sizes(
    mean: float,
    std: float,
    size: Sequence[int],
    *,
    generator: None = None,
    dtype: torch.dtype | None = None,
    layout: torch.layout | None = None,
    device: torch.device | None = None,
    pin_memory: bool | None = None,
) -> Tensor:
    """Of the given sizes."""
    return torch.randn(size, dtype=dtype, device=device) * std + mean


@composes("aten.randperm.default")
def permutation(
    n: int,
    *,
    dtype: torch.dtype = torch.int64,
    layout: torch.layout | None = None,
    device: torch.device | None = None,
    pin_memory: bool | None = None,
) -> Tensor:
    """The order of keys of 62 bits, of which two are hardly ever equal."""
    return torch.randint(0, 1 << 62, (n,), device=device).argsort().to(dtype)


@composes("aten.multinomial.default")
def multinomial(weights: Tensor, num_samples: int, replacement: bool = False, *, generator: None = None) -> Tensor:
    """Without replacement, exponential clocks of these rates ring in the order of the samples; see torch's kernel."""
    if not replacement:
        clocks = weights / exponential(weights)
        return clocks.topk(num_samples, dim=-1)[1]
    sums = weights.to(torch.float64).cumsum(-1)
    shape = (*weights.shape[:-1], num_samples)
    places = torch.rand(shape, dtype=torch.float64, device=weights.device) * sums[..., -1:]
    return torch.searchsorted(sums, places, right=True).clamp(max=weights.shape[-1] - 1)


@composes("aten.rrelu_with_noise_functional.default")
def rrelu(
    operand: Tensor,
    noise: Tensor,
    lower: float = 0.125,
    upper: float = 1 / 3,
    training: bool = False,
    generator: None = None,
) -> tuple[Tensor, Tensor]:
    """A leaky ReLU, whose slopes are random while training; and the slopes."""
    if not training:
        return torch.nn.functional.leaky_relu(operand, (lower + upper) / 2), noise.clone()
    slopes = torch.rand(operand.shape, dtype=operand.dtype, device=operand.device) * (upper - lower) + lower
    slopes = torch.where(operand <= 0, slopes, 1.0)
    return operand * slopes, slopes
