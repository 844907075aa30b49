"""Elementary functions of complex tensors.

The inverse functions follow W. Kahan, "Branch cuts for complex elementary functions, or much ado about nothing's sign
bit" (1987): cuts and signed zeros are where C99 has them.  Where one part is NaN, both parts of a result may be.
"""

import math
from typing import Any

import torch
from torch import Tensor

from stepwell.frontends.torch.complex_compositions import Parts, composes_complex, parts_of, promoted_parts
from stepwell.frontends.torch.composed.complex_arithmetic import product, quotient, square_root


def _times(size: Tensor, wave: Tensor) -> Tensor:
    """Return a product in which a zero that is exact wins over an infinity, as it does in C99."""
    return torch.where(size.isinf() & (wave == 0), wave * torch.sign(size), size * wave)


def exponential(operand: Parts) -> Parts:
    """Return ``e ** operand``."""
    x, y = operand
    size = x.exp()
    return _times(size, y.cos()), _times(size, y.sin())


def logarithm(operand: Parts) -> Parts:
    """Return the natural logarithm; near length one the real part is computed from what is left of one."""
    x, y = operand
    length = torch.hypot(x, y)
    large, small = torch.maximum(x.abs(), y.abs()), torch.minimum(x.abs(), y.abs())
    near = ((large - 1) * (large + 1) + small * small).log1p() / 2
    return torch.where((length > 0.5) & (length < 2), near, length.log()), torch.atan2(y, x)


def _scaled(operand: Parts, factor: float) -> Parts:
    return operand[0] * factor, operand[1] * factor


def _turned(operand: Parts) -> Parts:
    """Return i times a number."""
    return -operand[1], operand[0]


def _turned_back(operand: Parts) -> Parts:
    """Return a number divided by i."""
    return operand[1], -operand[0]


@composes_complex("aten.exp.default")
def exp(operand: Tensor) -> Tensor:
    """``e ** operand``."""
    return torch.complex(*exponential(parts_of(operand)))


@composes_complex("aten.exp2.default")
def exp2(operand: Tensor) -> Tensor:
    """``2 ** operand``."""
    return torch.complex(*exponential(_scaled(parts_of(operand), math.log(2))))


@composes_complex("aten.expm1.default")
def expm1(operand: Tensor) -> Tensor:
    """``e ** operand - 1``, exact for small operands."""
    x, y = parts_of(operand)
    half = (y / 2).sin()
    return torch.complex(x.expm1() * y.cos() - 2 * half * half, x.exp() * y.sin())


@composes_complex("aten.log.default")
def log(operand: Tensor) -> Tensor:
    """The natural logarithm."""
    return torch.complex(*logarithm(parts_of(operand)))


@composes_complex("aten.log2.default")
def log2(operand: Tensor) -> Tensor:
    """The logarithm to base 2."""
    return torch.complex(*_scaled(logarithm(parts_of(operand)), 1 / math.log(2)))


@composes_complex("aten.log10.default")
def log10(operand: Tensor) -> Tensor:
    """The logarithm to base 10."""
    return torch.complex(*_scaled(logarithm(parts_of(operand)), 1 / math.log(10)))


@composes_complex("aten.log1p.default")
def log1p(operand: Tensor) -> Tensor:
    """``log(1 + operand)``, exact for small operands."""
    x, y = parts_of(operand)
    near = (x * (2 + x) + y * y).log1p() / 2
    far = torch.hypot(x + 1, y).log()
    return torch.complex(torch.where(torch.hypot(x, y) < 0.5, near, far), torch.atan2(y, x + 1))


def _power(base: Parts, exponent: Parts) -> Parts:
    """Return ``exp(exponent * log(base))``; of a base of zero, zero."""
    re, im = exponential(product(exponent, logarithm(base)))
    none = (base[0] == 0) & (base[1] == 0)
    to_zero = (exponent[0] == 0) & (exponent[1] == 0)
    return torch.where(to_zero, 1.0, torch.where(none, 0.0, re)), torch.where(to_zero | none, 0.0, im)


@composes_complex("aten.pow.Tensor_Tensor", "aten.pow.Scalar")
def pow(base: Any, exponent: Any) -> Tensor:
    """The power, by logarithm and exponential."""
    return torch.complex(*_power(*promoted_parts(base, exponent)))


@composes_complex("aten.pow.Tensor_Scalar")
def pow_scalar(base: Tensor, exponent: Any) -> Tensor:
    """The power; small ones are products and roots, as they are in torch."""
    x, power = promoted_parts(base, exponent)
    if exponent in (1, 2, 3):
        found = x
        for _ in range(int(complex(exponent).real) - 1):
            found = product(found, x)
        return torch.complex(*found)
    one = (torch.ones_like(x[0]), torch.zeros_like(x[0]))
    if exponent in (0.5, -0.5):
        root = square_root(x)
        return torch.complex(*(root if exponent == 0.5 else quotient(one, root)))
    if exponent in (-1, -2):
        return torch.complex(*quotient(one, x if exponent == -1 else product(x, x)))
    return torch.complex(*_power(x, power))


@composes_complex("aten.sin.default")
def sin(operand: Tensor) -> Tensor:
    """Sine."""
    x, y = parts_of(operand)
    return torch.complex(_times(y.cosh(), x.sin()), _times(y.sinh(), x.cos()))


@composes_complex("aten.cos.default")
def cos(operand: Tensor) -> Tensor:
    """Cosine."""
    x, y = parts_of(operand)
    return torch.complex(_times(y.cosh(), x.cos()), -_times(y.sinh(), x.sin()))


@composes_complex("aten.sinh.default")
def sinh(operand: Tensor) -> Tensor:
    """Hyperbolic sine."""
    x, y = parts_of(operand)
    return torch.complex(_times(x.sinh(), y.cos()), _times(x.cosh(), y.sin()))


@composes_complex("aten.cosh.default")
def cosh(operand: Tensor) -> Tensor:
    """Hyperbolic cosine."""
    x, y = parts_of(operand)
    return torch.complex(_times(x.cosh(), y.cos()), _times(x.sinh(), y.sin()))


def _hyperbolic_tangent(operand: Parts) -> Parts:
    """Return tanh by Kahan's formula; beyond the range in which sinh differs from one, by its limit."""
    x, y = operand
    tangent, rise = y.tan(), x.sinh()
    factor = 1 + tangent * tangent
    below = 1 + factor * rise * rise
    real, imaginary = factor * (1 + rise * rise).sqrt() * rise / below, tangent / below
    far = x.abs() > (20 if x.dtype is torch.float64 else 10)
    limit = 4 * y.sin() * y.cos() * (-2 * x.abs()).exp()
    return torch.where(far, torch.sign(x), real), torch.where(far, limit, imaginary)


@composes_complex("aten.tanh.default")
def tanh(operand: Tensor) -> Tensor:
    """Hyperbolic tangent."""
    return torch.complex(*_hyperbolic_tangent(parts_of(operand)))


@composes_complex("aten.tan.default")
def tan(operand: Tensor) -> Tensor:
    """Tangent."""
    return torch.complex(*_turned_back(_hyperbolic_tangent(_turned(parts_of(operand)))))


@composes_complex("aten.sigmoid.default")
def sigmoid(operand: Tensor) -> Tensor:
    """``1 / (1 + exp(-operand))``."""
    return torch.reciprocal(1 + torch.exp(-operand))


def _roots(operand: Parts) -> tuple[Parts, Parts]:
    """Return the roots of ``1 - operand`` and of ``1 + operand``."""
    x, y = operand
    return square_root((1 - x, -y)), square_root((1 + x, y))


def _arc_sine(operand: Parts) -> Parts:
    (a, b), (c, d) = _roots(operand)
    # The imaginary part of conj(root of 1 - z) times root of 1 + z.
    return torch.atan2(operand[0], a * c - b * d), torch.asinh(a * d - b * c)


@composes_complex("aten.asin.default")
def asin(operand: Tensor) -> Tensor:
    """Inverse sine."""
    return torch.complex(*_arc_sine(parts_of(operand)))


@composes_complex("aten.asinh.default")
def asinh(operand: Tensor) -> Tensor:
    """Inverse hyperbolic sine."""
    return torch.complex(*_turned_back(_arc_sine(_turned(parts_of(operand)))))


@composes_complex("aten.acos.default")
def acos(operand: Tensor) -> Tensor:
    """Inverse cosine."""
    (a, b), (c, d) = _roots(parts_of(operand))
    return torch.complex(2 * torch.atan2(a, c), torch.asinh(c * b - d * a))


@composes_complex("aten.acosh.default")
def acosh(operand: Tensor) -> Tensor:
    """Inverse hyperbolic cosine."""
    x, y = parts_of(operand)
    (a, b), (c, d) = square_root((x - 1, y)), square_root((x + 1, y))
    return torch.complex(torch.asinh(a * c + b * d), 2 * torch.atan2(b, c))


def _arc_hyperbolic_tangent(operand: Parts) -> Parts:
    x, y = operand
    size, square = x.abs(), y * y
    low = 1 - size
    real = (4 * size / (low * low + square)).log1p() / 4
    angle = torch.atan2(2 * y, low * (1 + size) - square) / 2
    endless = x.isinf() | y.isinf()
    real = torch.where(endless, 0.0, real)
    return torch.copysign(real, x), torch.where(endless, torch.copysign(torch.full_like(y, math.pi / 2), y), angle)


@composes_complex("aten.atanh.default")
def atanh(operand: Tensor) -> Tensor:
    """Inverse hyperbolic tangent."""
    return torch.complex(*_arc_hyperbolic_tangent(parts_of(operand)))


@composes_complex("aten.atan.default")
def atan(operand: Tensor) -> Tensor:
    """Inverse tangent."""
    return torch.complex(*_turned_back(_arc_hyperbolic_tangent(_turned(parts_of(operand)))))
