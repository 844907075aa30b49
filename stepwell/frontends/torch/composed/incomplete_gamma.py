"""The regularised incomplete gamma functions, in float64.

By the power series below the mean, Legendre's continued fraction above it, and for large parameters near the mean by
Temme's uniform expansion (DLMF 8.12), whose coefficients rational recurrences give.
"""

import math
from fractions import Fraction

import torch
from torch import Tensor

from stepwell.frontends.torch.compositions import composes
from stepwell.frontends.torch.special_functions import polynomial

_SERIES = 64
_FRACTION = 48
# Up to here the series serves also above the mean, where the continued fraction is slow.
_SMALL = 4.0
# Where the uniform expansion serves, and how many of its powers of the parameter and of the distance it has.
_LARGE = 30.0
_CLOSE = 0.35
_ORDERS, _POWERS = 10, 18


def _expansions() -> tuple[list[tuple[float, ...]], tuple[float, ...]]:
    """Return Temme's coefficients of ``eta ** n`` of each order ``k``, and Stirling's of the gamma function."""
    count = _POWERS + 2 * _ORDERS + 3
    alpha = [Fraction(1), Fraction(1), Fraction(1, 3)]
    for n in range(3, count):
        passed = sum((j * alpha[j] * alpha[n - j + 1] for j in range(2, n)), Fraction(0))
        alpha.append((alpha[n - 1] - passed) / (n + 1))
    stirling = [math.prod(range(1, 2 * k + 2, 2)) * alpha[2 * k + 1] for k in range(_ORDERS + 1)]
    first = [Fraction(-1, 3)] + [(n + 2) * alpha[n + 2] for n in range(1, count - 2)]
    row, rows = first, [first]
    for k in range(1, _ORDERS):
        row = [(-1) ** k * stirling[k] * first[n] + (n + 2) * row[n + 2] for n in range(len(row) - 2)]
        rows.append(row)
    # Each order is divided by the parameter once more, and needs fewer powers.
    kept = [tuple(float(c) for c in row[: _POWERS - 3 * k // 2]) for k, row in enumerate(rows)]
    return kept, tuple(float(c) for c in stirling)


_TEMME, _STIRLING = _expansions()


def _excess(distance: Tensor) -> Tensor:
    """Return ``d - log(1 + d)``, which near zero is a series."""
    near = distance.clamp(-0.1, 0.1)
    series = near * near * polynomial(near, tuple((-1) ** k / (k + 2) for k in range(16)))
    return torch.where(distance.abs() < 0.1, series, distance - distance.log1p())


def _density(a: Tensor, x: Tensor) -> Tensor:
    """Return ``x**a * exp(-x) / gamma(a + 1)``."""
    large = a.clamp(min=10)
    far = (-large * _excess((x - large) / large)).exp()
    far = far / ((2 * math.pi * large).sqrt() * polynomial(1 / large, _STIRLING))
    small = a.clamp(max=10)
    return torch.where(a < 10, (small * x.log() - x - torch.lgamma(small + 1)).exp(), far)


def _both(a: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
    """Return the functions of lower and upper limit, neither by cancellation where it is small, for ``a, x > 0``."""
    density = _density(a, x)
    series = torch.ones_like(x)
    # Each branch sees arguments of its own region, so that none overflows.
    below = torch.minimum(x, (a + 1).clamp(min=_SMALL))
    for k in range(_SERIES, 0, -1):
        series = series * below / (a + k) + 1
    lower = density * series
    above = torch.maximum(x, (a + 1).clamp(min=_SMALL))
    bottom = above + (2 * _FRACTION + 1) - a
    for k in range(_FRACTION, 0, -1):
        bottom = above + (2 * k - 1) - a - k * (k - a) / bottom
    upper = density * a / bottom
    by_series = x < (a + 1).clamp(min=_SMALL)
    lower, upper = torch.where(by_series, lower, 1 - upper), torch.where(by_series, 1 - lower, upper)
    distance = (x - a) / a
    close = (a >= _LARGE) & (distance.abs() < _CLOSE)
    near_lower, near_upper = _uniform(a.clamp(min=_LARGE), torch.where(close, distance, 0.0))
    return torch.where(close, near_lower, lower), torch.where(close, near_upper, upper)


def _uniform(a: Tensor, distance: Tensor) -> tuple[Tensor, Tensor]:
    half = _excess(distance)
    eta = (2 * half).sqrt() * distance.sign()
    orders = [polynomial(eta, row) for row in _TEMME]
    total = orders[-1]
    for order in reversed(orders[:-1]):
        total = total / a + order
    rest = (-a * half).exp() / (2 * math.pi * a).sqrt() * total
    spread = eta * (a / 2).sqrt()
    return (-spread).erfc() / 2 - rest, spread.erfc() / 2 + rest


def _regularised(a: Tensor, x: Tensor, upper: bool) -> Tensor:
    dtype = torch.promote_types(a.dtype, x.dtype)
    a, x = a.double(), x.double()
    inside = (a > 0) & (x > 0) & ~a.isinf() & ~x.isinf()
    pair = _both(torch.where(inside, a, 1.0), torch.where(inside, x, 1.0))
    # At the edges all lies below or above.
    low = (x == 0) | a.isinf()
    edge = torch.where(low, 0.0, 1.0)
    unknown = (a < 0) | (x < 0) | (a.isinf() & x.isinf()) | ((a == 0) & (x == 0)) | a.isnan() | x.isnan()
    found = torch.where(inside, pair[1], 1 - edge) if upper else torch.where(inside, pair[0], edge)
    return torch.where(unknown, math.nan, found).to(dtype)


@composes("aten.igamma.default")
def igamma(a: Tensor, x: Tensor) -> Tensor:
    """The part of the gamma function's integral below ``x``; within 1e-12 of its size for ``a`` below a thousand."""
    return _regularised(a, x, upper=False)


@composes("aten.igammac.default")
def igammac(a: Tensor, x: Tensor) -> Tensor:
    """The part of the gamma function's integral above ``x``; within 1e-12 of its size for ``a`` from 0.1 to 1000."""
    return _regularised(a, x, upper=True)
