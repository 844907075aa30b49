"""Hurwitz's zeta function and the derivatives of digamma, which are made of it, in float64."""

import math
from fractions import Fraction
from typing import Any

import torch
from torch import Tensor

from stepwell.frontends.torch.compositions import composes
from stepwell.frontends.torch.special_functions import in_double

# So many terms are summed; those that follow are Euler's and Maclaurin's integral and this many corrections.
_SUMMED = 10
_CORRECTIONS = 12


def _bernoulli(count: int) -> list[Fraction]:
    """Return the Bernoulli numbers B_0 to B_count."""
    numbers = [Fraction(1)]
    for n in range(1, count + 1):
        total = sum((math.comb(n + 1, k) * number for k, number in enumerate(numbers)), Fraction(0))
        numbers.append(-total / (n + 1))
    return numbers


_EULER = [float(number) / math.factorial(2 * j) for j, number in enumerate(_bernoulli(2 * _CORRECTIONS)[::2]) if j]


def _above_zero(s: Tensor, q: Tensor) -> Tensor:
    """The sum of ``(q + k) ** -s`` for ``q > 0`` and ``s > 1``."""
    steps = torch.arange(_SUMMED, dtype=torch.float64, device=q.device)
    total = (q.unsqueeze(-1) + steps).pow(-s.unsqueeze(-1)).sum(-1)
    a = q + _SUMMED
    power = a.pow(-s)
    total = total + torch.where(power == 0, 0.0, power * a / (s - 1) + power / 2)
    inverse = 1 / (a * a)
    # s (s + 1) ... (s + 2j - 2) a^(1 - 2j) by Horner's rule, from the last one.
    corrections = torch.zeros_like(a)
    for j in range(_CORRECTIONS, 0, -1):
        rest = (s + 2 * j - 1) * (s + 2 * j) * inverse * corrections
        corrections = rest + _EULER[j - 1]
    total = total + torch.where(power == 0, 0.0, power * s / a * corrections)
    return torch.where(q.isinf(), 0.0, total)


def hurwitz(s: Tensor, q: Tensor) -> Tensor:
    """Return the sum of ``(q + k) ** -s`` over all ``k``, within 1e-14 of its size where ``q > 0``.

    Below zero ``s`` must be whole: the terms of negative bases are those of a sum above zero, from the fraction of
    ``q`` up to its size.
    """
    size = q.abs()
    fraction = size - size.floor()
    low = q < 0
    safe = torch.where(low & (fraction > 0), fraction, 0.5)
    odd = torch.fmod(s, 2) != 0
    passed = _above_zero(s, safe) - _above_zero(s, torch.where(low, size + 1, 1.0))
    below = torch.where(odd, -passed, passed)
    found = _above_zero(s, torch.where(low, 1 - safe, torch.where(q > 0, q, 1.0)))
    found = torch.where(low, found + below, found)
    found = torch.where(low & (s != s.floor()), math.nan, found)
    found = torch.where((q == 0) | (low & ((fraction == 0) | q.isinf())), math.inf, found)
    found = torch.where(s < 1, math.nan, torch.where(s == 1, math.inf, found))
    return torch.where(s.isnan() | q.isnan(), math.nan, found)


@composes("aten.special_zeta.default")
@composes("aten.special_zeta.other_scalar")
@composes("aten.special_zeta.self_scalar")
def zeta(first: Any, second: Any) -> Tensor:
    """Hurwitz's zeta function of two tensors, or of a tensor and a number; within 1e-14 of its size for ``q > 0``."""
    tensors = [item for item in (first, second) if isinstance(item, Tensor)]
    dtype = torch.result_type(first, second)
    dtype = dtype if dtype.is_floating_point else torch.get_default_dtype()
    wide = [
        item.double()
        if isinstance(item, Tensor)
        else torch.full((), item, dtype=torch.float64, device=tensors[0].device)
        for item in (first, second)
    ]
    return hurwitz(wide[0], wide[1]).to(dtype)


@composes("aten.polygamma.default")
def polygamma(order: int, operand: Tensor) -> Tensor:
    """The derivative of that order of digamma; within 1e-13 of its size above zero."""
    if order == 0:
        return torch.digamma(operand)
    factor = math.factorial(order) * (-1) ** (order + 1)

    def function(x: Tensor) -> Tensor:
        return factor * hurwitz(torch.full_like(x, order + 1), x)

    return in_double(operand, function)
