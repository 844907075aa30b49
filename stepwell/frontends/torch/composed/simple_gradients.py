"""Gradients that torch neither decomposes nor says in formulas: of pads, of shrinking, of losses."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from stepwell.frontends.torch.composed.spreading import working_dtype
from stepwell.frontends.torch.compositions import composes


@composes("aten.replication_pad1d_backward.default")
@composes("aten.replication_pad2d_backward.default")
@composes("aten.replication_pad3d_backward.default")
def replication_pad_backward(grad: Tensor, operand: Tensor, padding: Sequence[int]) -> Tensor:
    """What was copied from an element adds to it."""
    for number, before in enumerate(padding[::2]):
        dim = grad.dim() - 1 - number
        size = operand.shape[dim]
        places = (torch.arange(grad.shape[dim], device=grad.device) - before).clamp(0, size - 1)
        shape = [*grad.shape[:dim], size, *grad.shape[dim + 1 :]]
        grad = torch.zeros(shape, dtype=grad.dtype, device=grad.device).index_add(dim, places, grad)
    return grad


@composes("aten.hardshrink_backward.default")
@composes("aten.softshrink_backward.default")
def shrink_backward(grad: Tensor, operand: Tensor, bound: float) -> Tensor:
    """Nothing passes where the result is zero."""
    return torch.where((operand >= -bound) & (operand <= bound), 0.0, grad).to(grad.dtype)


@composes("aten.silu_backward.default")
def silu_backward(grad: Tensor, operand: Tensor) -> Tensor:
    """Of ``x * sigmoid(x)``."""
    wide = working_dtype(operand)
    x = operand.to(wide)
    gate = x.sigmoid()
    return (grad.to(wide) * gate * (1 + x * (1 - gate))).to(operand.dtype)


@composes("aten.mish_backward.default")
def mish_backward(grad: Tensor, operand: Tensor) -> Tensor:
    """Of ``x * tanh(log(1 + exp(x)))``."""
    wide = working_dtype(operand)
    x = operand.to(wide)
    bend = torch.nn.functional.softplus(x).tanh()
    return (grad.to(wide) * (bend + x * x.sigmoid() * (1 - bend * bend))).to(operand.dtype)


@composes("aten._efficientzerotensor.default")
def zeros_of_no_storage(size: Sequence[int], **options: Any) -> Tensor:
    """What autograd returns where nothing depends on an argument."""
    return torch.zeros(size, dtype=options.get("dtype"), device=options.get("device"))


def _reduced(grad: Tensor, reduction: int, count: int) -> Tensor:
    """Return the gradient of each of ``count`` losses that were averaged (1), added (2) or kept."""
    return grad / count if reduction == 1 else grad


@composes("aten.soft_margin_loss_backward.default")
def soft_margin_loss_backward(grad: Tensor, operand: Tensor, target: Tensor, reduction: int) -> Tensor:
    """Of ``log(1 + exp(-target * x))``; torch's formula loses the digits of ``sigmoid(target * x) - 1``."""
    wide = working_dtype(operand)
    y = target.to(wide)
    found = -y * (-y * operand.to(wide)).sigmoid() * _reduced(grad.to(wide), reduction, operand.numel())
    return found.to(operand.dtype)


@composes("aten.multi_margin_loss_backward.default")
def multi_margin_loss_backward(
    grad: Tensor,
    operand: Tensor,
    target: Tensor,
    p: float,
    margin: float,
    weight: Tensor | None = None,
    reduction: int = 1,
) -> Tensor:
    """Classes within the margin push themselves down and the target up."""
    rows, classes = (operand, target) if operand.dim() == 2 else (operand.reshape(1, -1), target.reshape(1))
    chosen = classes.unsqueeze(1)
    slack = margin - rows.gather(1, chosen) + rows
    push = torch.where(slack > 0, 1.0 if p == 1 else 2 * slack, 0.0).to(rows.dtype) / rows.shape[1]
    if weight is not None:
        push = push * weight[classes].unsqueeze(1)
    is_target = torch.arange(rows.shape[1], device=rows.device) == chosen
    push = torch.where(is_target, 0.0, push)
    push = torch.where(is_target, -push.sum(1, keepdim=True), push)
    scale = _reduced(grad, reduction, rows.shape[0])
    return (push * (scale.reshape(-1, 1) if reduction == 0 else scale)).view(operand.shape)


@composes("aten.multilabel_margin_loss_backward.default")
def multilabel_margin_loss_backward(
    grad: Tensor, operand: Tensor, target: Tensor, reduction: int, is_target: Tensor
) -> Tensor:
    """Every pair of a target and another class within a margin of one pushes the two apart.

    Targets of a row end at the first negative one.
    """
    width = operand.shape[-1] if operand.dim() else 1
    rows, labels, marks = (item.reshape(-1, width) for item in (operand, target, is_target))
    listed = (labels < 0).to(torch.int64).cumsum(1) == 0
    scores = rows.gather(1, labels.clamp(min=0))
    close = (1 - scores.unsqueeze(2) + rows.unsqueeze(1) > 0) & listed.unsqueeze(2) & (marks == 0).unsqueeze(1)
    pairs = close.to(rows.dtype)
    pull = torch.zeros_like(rows).scatter_add(1, labels.clamp(min=0), pairs.sum(2))
    push = (pairs.sum(1) - pull) / rows.shape[1]
    scale = _reduced(grad, reduction, rows.shape[0])
    return (push * (scale.reshape(-1, 1) if reduction == 0 else scale)).view(operand.shape)


@composes("aten.masked_scatter_backward.default")
def masked_scatter_backward(grad: Tensor, mask: Tensor, sizes: Sequence[int]) -> Tensor:
    """The gradient at the elements of the mask, in order, then zeros."""
    count = 1
    for size in sizes:
        count = count * size
    held = mask.expand(grad.shape).flatten()
    # One place more takes what the mask leaves out.
    places = torch.where(held, held.to(torch.int64).cumsum(0) - 1, count)
    empty = torch.zeros(count + 1, dtype=grad.dtype, device=grad.device)
    return empty.scatter_add(0, places, torch.where(held, grad.flatten(), 0.0)).narrow(0, 0, count).view(sizes)


@composes("aten._weight_norm_interface_backward.default")
def weight_norm_backward(grad: Tensor, vector: Tensor, length: Tensor, norm: Tensor, dim: int) -> tuple[Tensor, Tensor]:
    """Gradients of the vectors and of their lengths."""
    others = [other for other in range(vector.dim()) if other != dim % vector.dim()]
    for_length = (grad * vector).sum(others, keepdim=True) / norm
    return (length / norm) * (grad - vector * (for_length / norm)), for_length
