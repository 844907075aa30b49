"""Chebyshev's polynomials of four kinds, of any degree: in closed form, by cosines inside [-1, 1], hyperbolic outside.

Relative to the largest of a polynomial's values errors are within a few roundings times the degree.
"""

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from stepwell.frontends.torch.compositions import composes


def _first(n: Tensor, x: Tensor) -> Tensor:
    """Of ``cos(n t)``."""
    size = x.abs()
    inside = (n * x.clamp(-1, 1).acos()).cos()
    outside = (n * size.clamp(min=1).acosh()).cosh()
    return torch.where(size <= 1, inside, torch.where((x < 0) & _is_odd(n), -outside, outside))


def _second(n: Tensor, x: Tensor) -> Tensor:
    """Of ``sin((n + 1) t) / sin(t)``."""
    size = x.abs()
    angle, growth = x.clamp(-1, 1).acos(), size.clamp(min=1).acosh()
    inside = ((n + 1) * angle).sin() / angle.sin()
    outside = ((n + 1) * growth).sinh() / growth.sinh()
    outside = torch.where(size == 1, n + 1, outside)
    return torch.where(size < 1, inside, torch.where((x < 0) & _is_odd(n), -outside, outside))


def _half_sine(n: Tensor, x: Tensor) -> Tensor:
    """Of ``sin((n + 1 / 2) t) / sin(t / 2)`` for ``x > -1``."""
    angle, growth = x.clamp(-1, 1).acos(), x.clamp(min=1).acosh()
    inside = ((n + 0.5) * angle).sin() / (angle / 2).sin()
    outside = ((n + 0.5) * growth).sinh() / (growth / 2).sinh()
    return torch.where(x < 1, inside, torch.where(x == 1, 2 * n + 1, outside))


def _half_cosine(n: Tensor, x: Tensor) -> Tensor:
    """Of ``cos((n + 1 / 2) t) / cos(t / 2)`` for ``x > -1``."""
    angle, growth = x.clamp(-1, 1).acos(), x.clamp(min=1).acosh()
    inside = ((n + 0.5) * angle).cos() / (angle / 2).cos()
    outside = ((n + 0.5) * growth).cosh() / (growth / 2).cosh()
    return torch.where(x < 1, inside, outside)


def _third(n: Tensor, x: Tensor) -> Tensor:
    """At negative places it is the fourth kind of the opposite place, up to the sign."""
    below = _half_sine(n, -x)
    return torch.where(x < 0, torch.where(_is_odd(n), -below, below), _half_cosine(n, x))


def _fourth(n: Tensor, x: Tensor) -> Tensor:
    """At negative places it is the third kind of the opposite place, up to the sign."""
    below = _half_cosine(n, -x)
    return torch.where(x < 0, torch.where(_is_odd(n), -below, below), _half_sine(n, x))


def _is_odd(n: Tensor) -> Tensor:
    return torch.fmod(n, 2) != 0


def _register(
    name: str, function: Callable[[Tensor, Tensor], Tensor], line: Callable[[Tensor], Tensor], *, shifted: bool
) -> None:
    target = f"aten.special_{'shifted_' if shifted else ''}chebyshev_polynomial_{name}"

    @composes(f"{target}.default")
    @composes(f"{target}.n_scalar")
    @composes(f"{target}.x_scalar")
    def composed(x: Any, n: Any) -> Tensor:
        dtype = torch.result_type(x, n)
        dtype = dtype if dtype.is_floating_point else torch.get_default_dtype()
        device = next(item.device for item in (x, n) if isinstance(item, Tensor))
        place, degree = (
            item.double() if isinstance(item, Tensor) else torch.full((), item, dtype=torch.float64, device=device)
            for item in (x, n)
        )
        degree = degree.trunc()
        place = place * 2 - 1 if shifted else place
        # A zero of the line is one exactly; a cosine's is not.
        found = torch.where(degree == 1, line(place), function(degree, place))
        found = torch.where(place.isnan(), math.nan, found)
        return torch.where(degree < 0, 0.0, torch.where(degree == 0, 1.0, found)).to(dtype)


for _name, _function, _line in (
    ("t", _first, lambda x: x),
    ("u", _second, lambda x: 2 * x),
    ("v", _third, lambda x: 2 * x - 1),
    ("w", _fourth, lambda x: 2 * x + 1),
):
    for _shifted in (False, True):
        _register(_name, _function, _line, shifted=_shifted)
