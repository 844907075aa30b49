"""Airy's function, in float64.

Away from zero by Gauss's and Laguerre's quadrature of the integral of Gil, Segura and Temme, "Computing complex Airy
functions by numerical quadrature" (2002), which for negative arguments is taken on the two rays at 60 degrees; near
zero by the power series.
"""

import math

import numpy as np
import torch
from torch import Tensor

from stepwell.frontends.torch.compositions import composes
from stepwell.frontends.torch.special_functions import in_double, polynomial

_NEAR = 2.0
_NODES = 40
_POWER_TERMS = 18
# The function and its derivative at zero.
_VALUE = 1 / (3 ** (2 / 3) * math.gamma(2 / 3))
_SLOPE = -1 / (3 ** (1 / 3) * math.gamma(1 / 3))


def _laguerre(alpha: float, count: int) -> list[tuple[float, float]]:
    """Return nodes and weights for ``t**alpha * exp(-t)`` (Golub and Welsch); weights that vanish are left out."""
    steps = np.arange(1, count)
    beside = np.sqrt(steps * (steps + alpha))
    matrix = np.diag(2 * np.arange(count) + alpha + 1.0) + np.diag(beside, 1) + np.diag(beside, -1)
    nodes, vectors = np.linalg.eigh(matrix)
    weights = math.gamma(alpha + 1) * vectors[0] ** 2
    return [(float(t), float(w)) for t, w in zip(nodes, weights, strict=True) if w > 1e-19]


_QUADRATURE = _laguerre(-1 / 6, _NODES)
_SCALE = 1 / (math.sqrt(math.pi) * 48 ** (1 / 6) * math.gamma(5 / 6))


def _power_series(x: Tensor) -> Tensor:
    cube = x * x * x
    first, second = [1.0], [1.0]
    for k in range(1, _POWER_TERMS):
        first.append(first[-1] / ((3 * k - 1) * 3 * k))
        second.append(second[-1] / (3 * k * (3 * k + 1)))
    return _VALUE * polynomial(cube, tuple(first)) + _SLOPE * x * polynomial(cube, tuple(second))


def _far(x: Tensor, positive: bool) -> Tensor:
    """The function of ``x``, or of ``-x``, for ``x >= _NEAR``."""
    zeta = 2 / 3 * x * x.sqrt()
    nodes, weights = (
        torch.stack([torch.full((), value, dtype=torch.float64, device=x.device) for value in values])
        for values in zip(*_QUADRATURE, strict=True)
    )
    ratio = nodes / zeta.unsqueeze(-1)
    if positive:
        terms = (2 + ratio).pow(-1 / 6)
    else:
        half = ratio / 2
        phase = math.pi / 4 - zeta.unsqueeze(-1) + half.atan() / 6
        terms = (4 + 4 * half * half).pow(-1 / 12) * phase.cos()
    total = (terms * weights).sum(-1)
    scale = _SCALE * zeta.pow(-1 / 6)
    return scale * (-zeta).exp() * total if positive else 2 * scale * total


@composes("aten.special_airy_ai.default")
def airy_ai(operand: Tensor) -> Tensor:
    """Airy's function of the first kind; within 1e-12 of its amplitude."""

    def function(x: Tensor) -> Tensor:
        size = x.abs()
        distant = size.clamp(min=_NEAR)
        far = torch.where(x > 0, _far(distant, True), _far(distant, False))
        found = torch.where(size < _NEAR, _power_series(x.clamp(-_NEAR, _NEAR)), far)
        return torch.where(x == math.inf, 0.0, torch.where(x == -math.inf, math.nan, found))

    return in_double(operand, function)
