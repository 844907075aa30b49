"""Hermite's, Laguerre's and Legendre's polynomials by their recurrences, in float64.

A degree that is a small number is unrolled; a tensor of degrees makes a loop, which runs up to the largest of them.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch._higher_order_ops.while_loop import while_loop_op

from stepwell.frontends.torch.compositions import composes
from stepwell.frontends.torch.special_functions import in_double

# A recurrence of more steps would make a kernel too large.
_STEPS = 128
# Torch gives up on Hermite's polynomials above these degrees.
_HERMITE = {torch.float32: 128, torch.float64: 512}

# P(k + 1) of k, x, P(k) and P(k - 1).
Step = Callable[[Any, Tensor, Tensor, Tensor], Tensor]
First = Callable[[Tensor], Tensor]


def _unrolled(x: Tensor, count: int, first: First, step: Step) -> Tensor:
    if count < 0:
        return torch.zeros_like(x)
    before, value = torch.ones_like(x), first(x)
    if count == 0:
        return before
    for k in range(1, count):
        before, value = value, step(k, x, value, before)
    return value


def _looped(x: Tensor, degrees: Tensor, first: First, step: Step) -> Tensor:
    """Return the polynomials of float64 ``x``, of int64 degrees of the same shape."""

    def more(k: Tensor, before: Tensor, value: Tensor, x: Tensor, degrees: Tensor) -> Tensor:
        return (degrees > k).any()

    def one(k: Tensor, before: Tensor, value: Tensor, x: Tensor, degrees: Tensor) -> Any:
        rises = degrees > k
        following = step(k.to(x.dtype), x, value, before)
        return k + 1, torch.where(rises, value, before), torch.where(rises, following, value)

    start = torch.ones((), dtype=torch.int64, device=x.device)
    _, _, value = while_loop_op(more, one, (start, torch.ones_like(x), first(x)), (x, degrees))
    return torch.where(degrees < 0, 0.0, torch.where(degrees == 0, 1.0, value))


def _register(name: str, first: First, step: Step, *, hermite: bool = False) -> None:
    @composes(f"aten.special_{name}.n_scalar")
    def of_a_degree(operand: Tensor, degree: float) -> Tensor:
        count = int(degree)
        if count > _STEPS:
            return of_degrees(operand, torch.full((), count, dtype=torch.int64, device=operand.device))
        return in_double(operand, lambda x: _unrolled(x, count, first, step))

    @composes(f"aten.special_{name}.default")
    def of_degrees(operand: Tensor, degrees: Tensor) -> Tensor:
        dtype = torch.result_type(operand, degrees)
        dtype = dtype if dtype.is_floating_point else torch.get_default_dtype()
        x, counts = torch.broadcast_tensors(operand.to(dtype).double(), degrees.to(torch.int64))
        highest = _HERMITE[torch.float64 if dtype == torch.float64 else torch.float32]
        # A round leaves tensors in torch's default layout, and must not change any.
        x, counts = (tensor.clone(memory_format=torch.contiguous_format) for tensor in (x, counts))
        if not hermite:
            return _looped(x, counts, first, step).to(dtype)
        found = _looped(x, counts.clamp(max=highest), first, step)
        return torch.where(counts > highest, torch.nan, found).to(dtype)

    @composes(f"aten.special_{name}.x_scalar")
    def of_a_number(number: float, degrees: Tensor) -> Tensor:
        dtype = torch.result_type(number, degrees)
        return of_degrees(torch.full((), number, dtype=dtype, device=degrees.device), degrees)


_register("hermite_polynomial_h", lambda x: 2 * x, lambda k, x, p, q: 2 * x * p - 2 * k * q, hermite=True)
_register("hermite_polynomial_he", lambda x: x, lambda k, x, p, q: x * p - k * q, hermite=True)
_register("laguerre_polynomial_l", lambda x: 1 - x, lambda k, x, p, q: ((2 * k + 1 - x) * p - k * q) / (k + 1))
_register("legendre_polynomial_p", lambda x: x, lambda k, x, p, q: ((2 * k + 1) * x * p - k * q) / (k + 1))
