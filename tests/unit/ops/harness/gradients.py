"""Gradients as functions, which are traced before they are exported."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch.fx.experimental.proxy_tensor import make_fx


class Gradients:
    """The gradients of a function's results with respect to its floating point arguments.

    Results are weighted by a fixed, uneven gradient, so that no symmetry hides a mistake.
    """

    def __init__(self, function: Callable[..., Any]) -> None:
        self.function = function

    def __call__(self, *tensors: torch.Tensor) -> tuple[torch.Tensor, ...]:
        leaves = [t.detach().requires_grad_() if t.dtype.is_floating_point else t for t in tensors]
        found = self.function(*leaves)
        results = [result for result in ([found] if isinstance(found, torch.Tensor) else found) if result.requires_grad]
        wanted = [leaf for leaf in leaves if leaf.requires_grad]
        return torch.autograd.grad(results, wanted, [_uneven(result) for result in results])


def gradients(function: Callable[..., Any]) -> Gradients:
    """Return the function of a function's gradients."""
    return Gradients(function)


def traceable(function: Callable[..., Any], inputs: Sequence[torch.Tensor], dynamic: bool) -> Callable[..., Any]:
    """Return a function that can be exported: gradients as the graph of ops that autograd calls."""
    if not isinstance(function, Gradients):
        return function
    graph: Callable[..., Any] = make_fx(function, tracing_mode="symbolic" if dynamic else "fake")(*inputs)
    return graph


def _uneven(like: torch.Tensor) -> torch.Tensor:
    count = torch.arange(like.numel(), device=like.device)
    return (0.5 + count.remainder(7) / 8).to(like.dtype).view(like.shape)
