"""Hermite's, Laguerre's and Legendre's polynomials of a degree that is a number: their recurrences, in float64.

Torch repeats the recurrence for a tensor of degrees as often as each element says; that is left whole, and refused.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from stepwell.frontends.torch.compositions import composes
from stepwell.frontends.torch.special_functions import in_double

# A recurrence of more steps would make a kernel too large.
_STEPS = 128

# P(k + 1) of k, x, P(k) and P(k - 1).
Step = Callable[[int, Tensor, Tensor, Tensor], Tensor]


def _register(name: str, first: Callable[[Tensor], Tensor], step: Step) -> None:
    @composes(f"aten.special_{name}.n_scalar")
    def composed(operand: Tensor, degree: float) -> Tensor:
        count = int(degree)
        if count > _STEPS:
            return NotImplemented

        def function(x: Tensor) -> Tensor:
            if count < 0:
                return torch.zeros_like(x)
            before, value = torch.ones_like(x), first(x)
            if count == 0:
                return before
            for k in range(1, count):
                before, value = value, step(k, x, value, before)
            return value

        return in_double(operand, function)


_register("hermite_polynomial_h", lambda x: 2 * x, lambda k, x, p, q: 2 * x * p - 2 * k * q)
_register("hermite_polynomial_he", lambda x: x, lambda k, x, p, q: x * p - k * q)
_register("laguerre_polynomial_l", lambda x: 1 - x, lambda k, x, p, q: ((2 * k + 1 - x) * p - k * q) / (k + 1))
_register("legendre_polynomial_p", lambda x: x, lambda k, x, p, q: ((2 * k + 1) * x * p - k * q) / (k + 1))
