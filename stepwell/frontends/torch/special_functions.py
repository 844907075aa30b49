"""Compositions of special functions: of elementary ones, in float64 where that is what makes them exact enough."""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from stepwell.frontends.torch.compositions import composes

# Lanczos' approximation of the gamma function for g = 7.
_LANCZOS = (
    0.99999999999980993,
    676.5203681218851,
    -1259.1392167224028,
    771.32342877765313,
    -176.61502916214059,
    12.507343278686905,
    -0.13857109526572012,
    9.9843695780195716e-6,
    1.5056327351493116e-7,
)
# lgamma's Taylor coefficients at 2: 1 - gamma, then (-1)**k (zeta(k) - 1) / k.
_AT_TWO = (
    0.42278433509846713,
    0.3224670334241132,
    -0.0673523010531981,
    0.020580808427784546,
    -0.007385551028673986,
    0.0028905103307415234,
    -0.001192753911703261,
    0.0005096695247430425,
    -0.00022315475845357939,
    9.945751278180853e-05,
    -4.492623673813314e-05,
    2.050721277567069e-05,
    -9.439488275268397e-06,
    4.374866789907488e-06,
    -2.039215753801366e-06,
    9.55141213040742e-07,
    -4.492469198764566e-07,
    2.1207184805554665e-07,
    -1.0043224823968099e-07,
    4.7698101693639804e-08,
    -2.2711094608943164e-08,
    1.0838659214896955e-08,
    -5.183475041970047e-09,
    2.4836745438024785e-09,
    -1.1921401405860912e-09,
    5.731367241678862e-10,
    -2.7595228851242334e-10,
)
# Of the asymptotic series of digamma in 1 / x**2.
_DIGAMMA = (1 / 12, -1 / 120, 1 / 252, -1 / 240, 1 / 132, -691 / 32760, 1 / 12)
# digamma is moved up by so many steps before the series is used.
_STEPS = 10

# Rational approximations of erf's inverse, near zero and near one, as torch has them.
_NEAR_ZERO = (0.886226899, -1.645349621, 0.914624893, -0.140543331)
_UNDER_ZERO = (1.0, -2.118377725, 1.442710462, -0.329097515, 0.012229801)
_NEAR_ONE = (-1.970840454, -1.624906493, 3.429567803, 1.641345311)
_UNDER_ONE = (1.0, 3.543889200, 1.637067800)


def in_double(operand: Tensor, function: Callable[[Tensor], Tensor]) -> Tensor:
    """Return a function computed in float64, in the operand's dtype; whole numbers give torch's default one."""
    dtype = operand.dtype if operand.is_floating_point() else torch.get_default_dtype()
    return function(operand.double()).to(dtype)


def polynomial(x: Tensor, coefficients: tuple[float, ...]) -> Tensor:
    """Return the polynomial with these coefficients, the constant one first."""
    value = torch.full_like(x, coefficients[-1])
    for coefficient in reversed(coefficients[:-1]):
        value = value * x + coefficient
    return value


@composes("aten.lgamma.default")
def lgamma(operand: Tensor) -> Tensor:
    """The logarithm of the gamma function's size; below 1/2 by reflection."""

    def function(x: Tensor) -> Tensor:
        low = x < 0.5
        value = _lgamma_above_half(torch.where(low, 1 - x, x))
        # The sine's argument is brought near zero while that is exact.
        reflected = math.log(math.pi) - (math.pi * (x - x.round())).sin().abs().log() - value
        return torch.where(x.isinf(), math.inf, torch.where(low, reflected, value))

    return in_double(operand, function)


def _lgamma_above_half(x: Tensor) -> Tensor:
    """Return lgamma from 1/2 on: by its series around the zeros 1 and 2, for exact ones there, else by Lanczos."""
    z = x - 1
    total = torch.full_like(z, _LANCZOS[0])
    for number, coefficient in enumerate(_LANCZOS[1:], 1):
        total = total + coefficient / (z + number)
    shifted = z + 7.5
    far = 0.5 * math.log(2 * math.pi) + (z + 0.5) * shifted.log() - shifted + total.log()
    low = x < 1.5
    step = torch.where(low, z, x - 2)
    near = step * polynomial(step, _AT_TWO)
    return torch.where(x < 2.5, torch.where(low, near - step.log1p(), near), far)


@composes("aten.digamma.default")
def digamma(operand: Tensor) -> Tensor:
    """The derivative of lgamma; NaN at negative integers, and infinite at zero."""

    def function(x: Tensor) -> Tensor:
        low = x < 0
        y = torch.where(low, 1 - x, x)
        steps = 1 / y  # which tells the zeros apart
        for number in range(1, _STEPS):
            steps = steps + 1 / (y + number)
        far = y + _STEPS
        inverse = 1 / (far * far)
        value = far.log() - 0.5 / far - inverse * polynomial(inverse, _DIGAMMA) - steps
        fraction = x - x.round()
        reflected = value - math.pi / (math.pi * fraction).tan()
        return torch.where(low, torch.where(fraction == 0, math.nan, reflected), value)

    return in_double(operand, function)


@composes("aten.erfinv.default")
def erfinv(operand: Tensor) -> Tensor:
    """A rational approximation and two steps of Newton's."""

    def function(y: Tensor) -> Tensor:
        size = y.abs()
        square = y * y
        middle = y * polynomial(square, _NEAR_ZERO) / polynomial(square, _UNDER_ZERO)
        z = (-((1 - size) / 2).log()).sqrt()
        tail = torch.copysign(polynomial(z, _NEAR_ONE) / polynomial(z, _UNDER_ONE), y)
        x = torch.where(size <= 0.7, middle, tail)
        for _ in range(2):
            x = x - (x.erf() - y) / (2 / math.sqrt(math.pi) * (-x * x).exp())
        ends = torch.where(size == 1, torch.copysign(torch.full_like(y, math.inf), y), math.nan)
        return torch.where(size < 1, x, ends)

    return in_double(operand, function)
