"""Bessel functions of orders zero and one, in float64.

Up to a bound, by the trapezoidal rule for Bessel's integrals over a period: its error is a Bessel function of as high
an order as there are nodes, which is nothing.  Above it, by the asymptotic series of Hankel (DLMF 10.17, 10.40), whose
coefficients a formula gives.  Errors are within 1e-14 of the function's amplitude there.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from stepwell.frontends.torch.compositions import composes
from stepwell.frontends.torch.special_functions import in_double, polynomial

# Where the series take over; their terms, and nodes of the integrals that serve up to there.
_FAR = 25.0
_TERMS = 22
_NODES = 64
# Of the modified functions of the second kind: where the integral takes over from the power series.
_NEAR = 1.0
_STEP = 0.25


def _hankel(order: int, terms: int = _TERMS) -> list[float]:
    """Return the coefficients ``a_k`` of the asymptotic series in ``1 / x``."""
    found = [1.0]
    for k in range(1, terms):
        found.append(found[-1] * (4 * order * order - (2 * k - 1) ** 2) / (8 * k))
    return found


def _oscillating(x: Tensor, order: int) -> tuple[Tensor, Tensor]:
    """Return the functions of the first and second kind far from zero."""
    coefficients = _hankel(order)
    square = 1 / (x * x)
    even = polynomial(square, tuple(c * (-1) ** k for k, c in enumerate(coefficients[0::2])))
    odd = polynomial(square, tuple(c * (-1) ** k for k, c in enumerate(coefficients[1::2]))) / x
    # The phase is x - (order / 2 + 1 / 4) * pi; its sine and cosine are sums of those of x.
    sine, cosine = x.sin(), x.cos()
    cos_phase, sin_phase = (cosine + sine, sine - cosine) if order == 0 else (sine - cosine, -sine - cosine)
    scale = (1 / (math.pi * x)).sqrt()
    return scale * (even * cos_phase - odd * sin_phase), scale * (even * sin_phase + odd * cos_phase)


@dataclass(frozen=True)
class _Integral:
    """Nodes of a quarter of a period: angles, weights, and ``cos`` or ``sin(x * sin(angle))`` with the nodes last."""

    angles: Tensor
    weights: Tensor
    waves: Tensor

    def of(self, kernel: Tensor) -> Tensor:
        """Return the integral of waves times a kernel ``[nodes]``."""
        return (self.waves * (self.weights * kernel)).sum(-1)


def _nodes(x: Tensor) -> tuple[Tensor, Tensor]:
    """Return angles from 0 to a quarter of a period, both counted, and their weights."""
    half = _NODES // 2
    places = torch.arange(half + 1, dtype=torch.float64, device=x.device)
    weights = torch.where((places == 0) | (places == half), 1.0, 2.0) / _NODES
    return places * (math.pi / _NODES), weights


def _integral(x: Tensor, order: int) -> _Integral:
    angles, weights = _nodes(x)
    waves = x.unsqueeze(-1) * angles.sin()
    return _Integral(angles, weights, waves.sin() if order else waves.cos())


def _first_kind(x: Tensor, order: int) -> Tensor:
    """J of ``x >= 0``."""
    near = x.clamp(max=_FAR)
    integral = _integral(near, order)
    close = integral.of(integral.angles.sin() ** order)
    far, _ = _oscillating(x.clamp(min=_FAR), order)
    return torch.where(x.isinf(), 0.0, torch.where(x < _FAR, close, far))


def _second_kind(x: Tensor, order: int) -> Tensor:
    """Y by Neumann's series of functions of the first kind (DLMF 10.23.16), all of them by the same integral."""
    near = x.clamp(max=_FAR)
    integral = _integral(near, order)
    first = integral.of(integral.angles.sin() ** order)
    series = integral.of(_neumann(integral.angles, order))
    digamma = -0.5772156649015329 + order
    close = 2 / math.pi * (((near / 2).log() - digamma) * first - series)
    if order:
        close = close - 2 / (math.pi * near) * _first_kind(near, 0)
    _, far = _oscillating(x.clamp(min=_FAR), order)
    found = torch.where(x.isinf(), 0.0, torch.where(x < _FAR, close, far))
    return torch.where(x < 0, math.nan, torch.where(x == 0, -math.inf, found))


def _neumann(angles: Tensor, order: int) -> Tensor:
    """Return the sum over ``k`` of ``(-1)^k (n + 2k) / (k (n + k))`` times the kernel of ``J_(n + 2k)``."""
    k = torch.arange(1, _NODES // 2, dtype=torch.float64, device=angles.device)
    factors = (1 - 2 * torch.fmod(k, 2)) * (order + 2 * k) / (k * (order + k))
    # sin(x sin t) sin((2k + 1) t) is what J_(2k + 1) integrates, cos(x sin t) cos(2k t) what J_2k does.
    phases = angles.unsqueeze(-1) * (2 * k + order)
    return ((phases.sin() if order else phases.cos()) * factors).sum(-1)


def _growing(x: Tensor, order: int) -> Tensor:
    """I of ``x >= 0``, times ``exp(-x)``."""
    near = x.clamp(max=_FAR)
    angles, weights = _nodes(x)
    cosines = angles.cos()
    waves = near.unsqueeze(-1) * cosines
    terms = waves.sinh() * (cosines * weights) if order else waves.cosh() * weights
    close = terms.sum(-1) * (-near).exp()
    distant = x.clamp(min=_FAR)
    series = polynomial(-1 / distant, tuple(_hankel(order)))
    return torch.where(x < _FAR, close, series / (2 * math.pi * distant).sqrt())


def _decaying(x: Tensor, order: int) -> Tensor:
    """K, times ``exp(x)``: the power series (DLMF 10.31), or the integral of ``exp(-x cosh t) cosh(n t)``."""
    near = x.clamp(max=_NEAR)
    quarter = near * near / 4
    harmonic, factor = -2 * 0.5772156649015329 + order, 1.0
    sums, firsts = [], []
    for k in range(14):
        firsts.append(factor)
        sums.append(factor * harmonic)
        harmonic += 1 / (k + 1) + 1 / (k + 1 + order)
        factor /= (k + 1) * (k + 1 + order)
    half = near / 2
    first = polynomial(quarter, tuple(firsts)) * (half if order else 1)
    series = 0.5 * polynomial(quarter, tuple(sums)) * (half if order else 1)
    close = (1 / near + half.log() * first - series) if order else (series - half.log() * first)
    distant = x.clamp(min=_NEAR)
    root = distant.sqrt()
    # cosh(t) - 1 is 2 sinh(t / 2)^2, which does not cancel.
    places = torch.arange(round(9 / _STEP), dtype=torch.float64, device=x.device)
    growth = (places * (_STEP / 2) / root.unsqueeze(-1)).sinh()
    growth = 2 * growth * growth
    waves = (-distant.unsqueeze(-1) * growth).exp() * torch.where(places == 0, _STEP / 2, _STEP)
    integral = (waves * (1 + growth) if order else waves).sum(-1)
    found = torch.where(x <= _NEAR, close * near.exp(), integral / root)
    return torch.where(x < 0, math.nan, torch.where(x == 0, math.inf, torch.where(x.isinf(), 0.0, found)))


def _even(function: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
    return lambda x: function(x.abs())


def _odd(function: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
    return lambda x: function(x.abs()) * x.sign()


def _register(target: str, function: Callable[[Tensor], Tensor]) -> None:
    @composes(f"aten.{target}.default")
    def composed(operand: Tensor) -> Tensor:
        return in_double(operand, function)


_register("special_bessel_j0", _even(lambda x: _first_kind(x, 0)))
_register("special_bessel_j1", _odd(lambda x: _first_kind(x, 1)))
_register("special_bessel_y0", lambda x: _second_kind(x, 0))
_register("special_bessel_y1", lambda x: _second_kind(x, 1))
_register("special_i0e", _even(lambda x: _growing(x, 0)))
_register("special_i1e", _odd(lambda x: _growing(x, 1)))
for _name in ("i0", "special_modified_bessel_i0"):
    _register(_name, _even(lambda x: torch.where(x.isinf(), x, _growing(x, 0) * (x / 2).exp() * (x / 2).exp())))
for _name in ("special_i1", "special_modified_bessel_i1"):
    _register(_name, _odd(lambda x: torch.where(x.isinf(), x, _growing(x, 1) * (x / 2).exp() * (x / 2).exp())))
_register("special_scaled_modified_bessel_k0", lambda x: _decaying(x, 0))
_register("special_scaled_modified_bessel_k1", lambda x: _decaying(x, 1))
_register("special_modified_bessel_k0", lambda x: _decaying(x, 0) * (-x).exp())
_register("special_modified_bessel_k1", lambda x: _decaying(x, 1) * (-x).exp())


@composes("aten.special_spherical_bessel_j0.default")
def spherical_bessel_j0(operand: Tensor) -> Tensor:
    """``sin(x) / x``, one at zero; within a rounding or two."""
    return in_double(operand, lambda x: torch.where(x.isinf(), 0.0, torch.where(x == 0, 1.0, x.sin() / x)))
