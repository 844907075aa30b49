"""Torch ops that are rewritten as other torch ops when a program is decomposed, and that torch leaves whole.

A composition is a function of the op's own arguments.  Torch traces it without data, as it traces its own
decompositions; one that returns ``NotImplemented`` leaves the call as it is, so that it is refused by name.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
from torch import Tensor
from torch.fx.experimental.symbolic_shapes import guard_or_false

COMPOSITIONS: dict[str, Callable[..., Any]] = {}

F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True)
class PartialComposition:
    """What becomes of some calls of an op that has a converter, which takes the others.

    Attributes:
        applies: tells of a call's arguments, which are tensors or the nodes of a graph, whether it is rewritten.
        rewrite: the composition.
    """

    applies: Callable[..., bool]
    rewrite: Callable[..., Any]

    def __call__(self, *arguments: Any, **options: Any) -> Any:
        return self.rewrite(*arguments, **options) if self.applies(*arguments, **options) else NotImplemented


PARTIAL_COMPOSITIONS: dict[str, PartialComposition] = {}


def composes(target: str) -> Callable[[F], F]:
    """Register the composition of an op overload such as ``"aten.addbmm.default"``."""

    def register(function: F) -> F:
        COMPOSITIONS[target] = function
        return function

    return register


def composes_some(target: str, applies: Callable[..., bool]) -> Callable[[F], F]:
    """Register what becomes of those calls of an op overload whose arguments ``applies`` accepts."""

    def register(function: F) -> F:
        PARTIAL_COMPOSITIONS[target] = PartialComposition(applies, function)
        return function

    return register


@composes("aten.addbmm.default")
def addbmm(addend: Tensor, lhs: Tensor, rhs: Tensor, *, beta: float = 1, alpha: float = 1) -> Tensor:
    """The sum of a batch of products is one product of longer rows; numbers beside integers are cut to integers."""
    if not (lhs.is_floating_point() or lhs.is_complex()):
        alpha, beta = int(alpha), int(beta)
    rows = lhs.permute(1, 0, 2).flatten(1)
    product = rows @ rhs.flatten(0, 1)
    if alpha != 1:
        product = product * alpha
    if beta == 0:
        return product
    return product + (addend * beta if beta != 1 else addend)


@composes("aten.angle.default")
def angle(operand: Tensor) -> Tensor:
    """0 or pi, in the result's own digits, which a number in ``torch.where`` would not have; NaN stays."""
    dtype = operand.dtype if operand.is_floating_point() else torch.get_default_dtype()
    half_turn = torch.full_like(operand, math.pi, dtype=dtype)
    turned = torch.where(operand < 0, half_turn, torch.zeros_like(half_turn))
    return torch.where(operand != operand, operand.to(dtype), turned)


@composes("aten.as_strided_scatter.default")
def as_strided_scatter(
    operand: Tensor, source: Tensor, size: Sequence[int], stride: Sequence[int], storage_offset: int | None = None
) -> Tensor:
    """Write the elements at an offset plus multiples of strides; tensors are contiguous here."""
    places = torch.full((), storage_offset or 0, dtype=torch.int64, device=operand.device)
    for count, step in zip(size, stride, strict=True):
        places = places.unsqueeze(-1) + torch.arange(count, device=operand.device) * step
    return operand.flatten().scatter(0, places.flatten(), source.flatten()).view(operand.shape)


@composes("aten._convolution.default")
@composes("aten._convolution.deprecated")
def convolution(
    operand: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
    transposed: bool,
    output_padding: Sequence[int],
    groups: int,
    *backends: bool,
) -> Tensor:
    """The convolution alone; ``backends`` choose among libraries."""
    return torch.convolution(operand, weight, bias, stride, padding, dilation, transposed, output_padding, groups)


@composes("aten.conv_tbc.default")
def convolution_of_steps(operand: Tensor, weight: Tensor, bias: Tensor, pad: int = 0) -> Tensor:
    """A convolution of ``[steps, batch, channels]`` with ``[taps, channels, result channels]``."""
    result = torch.conv1d(operand.permute(1, 2, 0), weight.permute(2, 1, 0), bias, padding=pad)
    return result.permute(2, 0, 1)


@composes("aten._index_put_impl.default")
def index_put(
    operand: Tensor,
    indices: Sequence[Tensor | None],
    values: Tensor,
    accumulate: bool = False,
    unsafe: bool = False,
) -> Tensor:
    """The public op; ``unsafe`` leaves out checks."""
    return torch.ops.aten.index_put(operand, indices, values, accumulate)


@composes("aten._scaled_mm.default")
def scaled_mm(
    lhs: Tensor,
    rhs: Tensor,
    scale_lhs: Tensor,
    scale_rhs: Tensor,
    bias: Tensor | None = None,
    scale_result: Tensor | None = None,
    out_dtype: torch.dtype | None = None,
    use_fast_accum: bool = False,
) -> Tensor:
    """A product of 8-bit floats in float32; scales are of whole operands, of rows (m, 1) or of columns (1, n)."""
    numbers = scale_lhs.numel() == 1 and scale_rhs.numel() == 1
    lines = tuple(scale_lhs.shape) == (lhs.shape[0], 1) and tuple(scale_rhs.shape) == (1, rhs.shape[1])
    if scale_result is not None or not (numbers or lines):
        return NotImplemented
    if numbers:
        scale_lhs, scale_rhs = scale_lhs.reshape(()), scale_rhs.reshape(())
    product = (lhs.float() @ rhs.float()) * (scale_lhs * scale_rhs)
    if bias is not None:
        product = product + bias
    return product.to(out_dtype or lhs.dtype)


@composes("aten._trilinear.default")
def trilinear(
    first: Tensor,
    second: Tensor,
    third: Tensor,
    expand1: Sequence[int],
    expand2: Sequence[int],
    expand3: Sequence[int],
    sumdim: Sequence[int],
    unroll_dim: int = 1,
) -> Tensor:
    """The product of three tensors, each with dimensions of one inserted, summed."""
    factors = []
    for tensor, dims in ((first, expand1), (second, expand2), (third, expand3)):
        for dim in sorted(dims):
            tensor = tensor.unsqueeze(dim)
        factors.append(tensor)
    product = factors[0] * factors[1] * factors[2]
    return product.sum(list(sumdim)) if sumdim else product


@composes("aten._cdist_forward.default")
def cdist(first: Tensor, second: Tensor, p: float, compute_mode: int | None) -> Tensor:
    """Distances of all pairs of rows."""
    return _lengths(first.unsqueeze(-2) - second.unsqueeze(-3), p)


def _lengths(rows: Tensor, p: float) -> Tensor:
    """Return the norms of rows; rows without elements have length 0, and torch's norm refuses to look for a maximum."""
    if guard_or_false(rows.numel() == 0):
        return rows.sum(-1)
    return torch.linalg.vector_norm(rows, p, dim=-1)


@composes("aten._pdist_forward.default")
def pdist(operand: Tensor, p: float = 2) -> Tensor:
    """Distances of the pairs of rows above the diagonal."""
    rows, columns = torch.triu_indices(operand.shape[0], operand.shape[0], 1, device=operand.device).unbind(0)
    return _lengths(operand[rows] - operand[columns], p)


@composes("aten._euclidean_dist.default")
def euclidean_distance(first: Tensor, second: Tensor) -> Tensor:
    """Distances of all pairs of rows."""
    return cdist(first, second, 2.0, None)


@composes("aten.rrelu_with_noise_functional.default")
def rrelu(
    operand: Tensor,
    noise: Tensor,
    lower: float = 1 / 8,
    upper: float = 1 / 3,
    training: bool = False,
    generator: Any = None,
) -> Any:
    """Outside of training the slope is the mean of its bounds."""
    if training:
        return NotImplemented
    return torch.nn.functional.leaky_relu(operand, (lower + upper) / 2), noise


@composes("aten.histc.default")
def histc(operand: Tensor, bins: int = 100, min: float = 0, max: float = 0) -> Tensor:
    """Count the elements of equal intervals; the last one holds its upper edge."""
    values = operand.flatten()
    if not values.is_floating_point():
        return NotImplemented
    low, high = (torch.full((), edge, dtype=values.dtype, device=values.device) for edge in (min, max))
    if min == max:
        if values.shape[0] != 0:
            low, high = values.amin(), values.amax()
        low, high = torch.where(low == high, low - 1, low), torch.where(low == high, high + 1, high)
    inside = (values >= low) & (values <= high)
    places = torch.where(inside, (values - low) * bins / (high - low), 0.0).to(torch.int64).clamp(max=bins - 1)
    return torch.zeros(bins, dtype=values.dtype, device=values.device).scatter_add(0, places, inside.to(values.dtype))
