"""Windows of signal processing: computed in float64, as a raised cosine or what their names say."""

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from stepwell.frontends.torch.compositions import COMPOSITIONS


def _places(length: int, periodic: bool, device: Any) -> Tensor:
    """Return the places of a window's elements, in periods."""
    return torch.arange(length, dtype=torch.float64, device=device) / max(length if periodic else length - 1, 1)


def _cosines(places: Tensor, *factors: float) -> Tensor:
    """Return the sum of cosines of 0, 1, ... turns, with signs that alternate."""
    terms = [(-1) ** k * factor * torch.cos(2 * math.pi * k * places) for k, factor in enumerate(factors)]
    total = terms[0]
    for term in terms[1:]:
        total = total + term
    return total


def _hann(places: Tensor) -> Tensor:
    return _cosines(places, 0.5, 0.5)


def _hamming(places: Tensor, alpha: float = 0.54, beta: float = 0.46) -> Tensor:
    return _cosines(places, alpha, beta)


def _blackman(places: Tensor) -> Tensor:
    return _cosines(places, 0.42, 0.5, 0.08)


def _bartlett(places: Tensor) -> Tensor:
    return 1 - (2 * places - 1).abs()


def _kaiser(places: Tensor, beta: float = 12.0) -> Tensor:
    inside = (1 - (2 * places - 1) ** 2).clamp(min=0)
    return torch.special.i0(beta * inside.sqrt()) / torch.special.i0(torch.full_like(places[:1], beta))


def _window(shape: Callable[..., Tensor]) -> Callable[..., Tensor]:
    def window(
        length: int,
        periodic: bool = True,
        *factors: float,
        dtype: torch.dtype | None = None,
        device: Any = None,
        **options: Any,
    ) -> Tensor:
        wanted = dtype or torch.get_default_dtype()
        # One element is 1 whatever the window, and none has no middle.
        if length <= 1:
            return torch.ones(length, dtype=wanted, device=device)
        return shape(_places(length, periodic, device), *factors).to(wanted)

    return window


for _name, _shape, _overloads in (
    ("hann", _hann, ("default", "periodic")),
    ("hamming", _hamming, ("default", "periodic", "periodic_alpha", "periodic_alpha_beta")),
    ("blackman", _blackman, ("default", "periodic")),
    ("bartlett", _bartlett, ("default", "periodic")),
    ("kaiser", _kaiser, ("default", "periodic", "beta")),
):
    COMPOSITIONS.update({f"aten.{_name}_window.{_overload}": _window(_shape) for _overload in _overloads})
