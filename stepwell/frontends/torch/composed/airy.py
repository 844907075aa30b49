"""Airy's function, in float64.

Away from zero by a double exponential quadrature of the integral of Gil, Segura and Temme, "Computing complex Airy
functions by numerical quadrature" (2002), which for negative arguments is taken on the two rays at 60 degrees; near
zero by the power series.
"""

import math

import torch
from torch import Tensor

from stepwell.frontends.torch.compositions import composes
from stepwell.frontends.torch.special_functions import in_double, polynomial

_NEAR = 2.0
_STEPS, _RANGE = 40, 4.0
_POWER_TERMS = 18
# The function and its derivative at zero.
_VALUE = 1 / (3 ** (2 / 3) * math.gamma(2 / 3))
_SLOPE = -1 / (3 ** (1 / 3) * math.gamma(1 / 3))


_SCALE = 1 / (math.sqrt(math.pi) * 48 ** (1 / 6) * math.gamma(5 / 6))


def _quadrature(like: Tensor) -> tuple[Tensor, Tensor]:
    """Return nodes and weights for ``t**(-1/6) * exp(-t)``: steps of ``u`` where ``t = exp(u - exp(-u))``."""
    step = 2 * _RANGE / _STEPS
    u = torch.arange(_STEPS + 1, dtype=torch.float64, device=like.device) * step - _RANGE
    decay = (-u).exp()
    logarithm = u - decay
    nodes = logarithm.exp()
    return nodes, step * (1 + decay) * (5 / 6 * logarithm - nodes).exp()


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
    nodes, weights = _quadrature(x)
    ratio = nodes / zeta.unsqueeze(-1)
    if positive:
        terms = ((2 + ratio).log() / -6).exp()
    else:
        half = ratio / 2
        phase = math.pi / 4 - zeta.unsqueeze(-1) + half.atan() / 6
        terms = ((4 + 4 * half * half).log() / -12).exp() * phase.cos()
    total = (terms * weights).sum(-1)
    scale = _SCALE * (zeta.log() / -6).exp()
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
