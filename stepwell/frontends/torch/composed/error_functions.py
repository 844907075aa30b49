"""Relatives of the error function, in float64."""

import math

import torch
from torch import Tensor

from stepwell.frontends.torch.compositions import composes
from stepwell.frontends.torch.special_functions import in_double, polynomial

# From here on the asymptotic series of erfcx has this many useful terms.
_FAR = 8.0
_TERMS = 20


def scaled_complement(x: Tensor) -> Tensor:
    """Return ``exp(x**2) * erfc(x)``, within 1e-15 of its size."""
    near = x.clamp(max=_FAR)
    # The square's rounding would grow with it: its head is exact.
    head = (near * 16).round() / 16
    close = (head * head).exp() * ((near - head) * (near + head)).exp() * near.erfc()
    distant = x.clamp(min=_FAR)
    coefficients = [1.0]
    for k in range(1, _TERMS):
        coefficients.append(-coefficients[-1] * (2 * k - 1) / 2)
    inverse = 1 / distant
    far = inverse / math.sqrt(math.pi) * polynomial(inverse * inverse, tuple(coefficients))
    # Below, erfc is two and the exponential of the whole square overflows where its parts might not.
    return torch.where(x < -27, math.inf, torch.where(x < _FAR, close, far))


@composes("aten.special_erfcx.default")
def erfcx(operand: Tensor) -> Tensor:
    """The complementary error function times ``exp(x**2)``; within 1e-15 of its size."""
    return in_double(operand, scaled_complement)


@composes("aten.special_log_ndtr.default")
def log_ndtr(operand: Tensor) -> Tensor:
    """The logarithm of the normal distribution's integral; within 1e-14 of its size."""

    def function(x: Tensor) -> Tensor:
        scaled = x / math.sqrt(2)
        tail = (scaled_complement(-scaled) / 2).log() - scaled * scaled
        tail = torch.where(x == -math.inf, -math.inf, tail)
        return torch.where(x < -1, tail, (-scaled.erfc() / 2).log1p())

    return in_double(operand, function)


@composes("aten.special_ndtri.default")
def ndtri(operand: Tensor) -> Tensor:
    """The inverse of the normal distribution's integral, within 1e-14 of its size.

    A start by Abramowitz and Stegun 26.2.23, and three steps of Halley's on the tail.
    """

    def function(p: Tensor) -> Tensor:
        tail = torch.where(p > 0.5, 1 - p, p)
        logarithm = tail.log()
        t = (-2 * logarithm).sqrt()
        above, below = (2.515517, 0.802853, 0.010328), (1.0, 1.432788, 0.189269, 0.001308)
        x = t - polynomial(t, above) / polynomial(t, below)
        for _ in range(3):
            excess = (x / math.sqrt(2)).erfc() / 2 - tail
            error = excess * math.sqrt(2 * math.pi) * (x * x / 2).exp()
            x = x + error / (1 + x * error / 2)
        x = torch.where(p == 0.5, 0.0, torch.where(p > 0.5, x, -x))
        ends = torch.where(p == 0, -math.inf, torch.where(p == 1, math.inf, math.nan))
        return torch.where((p > 0) & (p < 1), x, ends)

    return in_double(operand, function)
