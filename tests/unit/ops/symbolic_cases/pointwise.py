"""Element by element: one shape for all operands, or shapes that broadcast."""

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from harness.symbolic import Symbolic, bools, integers, positive


def _plain(name: str, function: Callable[..., Any], **options: Any) -> Symbolic:
    return Symbolic(name, function, ["n,m"], family="activation", **options)


def _pair(name: str, function: Callable[..., Any], **options: Any) -> Symbolic:
    return Symbolic(name, function, ["n,m,k", "m,1"], family="activation", **options)


_UNARY = (
    *("abs", "neg", "exp", "exp2", "expm1", "sin", "cos", "tan", "asin", "acos", "atan", "sinh", "cosh", "tanh"),
    *("asinh", "acosh", "atanh", "erf", "erfc", "sigmoid", "log", "log2", "log10", "log1p", "sqrt", "rsqrt"),
    *("reciprocal", "floor", "ceil", "trunc", "round", "frac", "sign", "sgn", "isnan", "isinf", "isfinite", "signbit"),
    *("relu", "logical_not"),
)
_ACTIVATIONS = (
    *("silu", "hardsigmoid", "hardswish", "mish", "logsigmoid", "gelu", "leaky_relu", "elu", "celu", "selu"),
    *("softplus", "hardtanh"),
)
_BINARY = (
    *("add", "sub", "mul", "div", "rsub", "fmod", "remainder", "maximum", "minimum", "fmax", "fmin", "hypot"),
    *("logaddexp", "logaddexp2", "atan2", "copysign", "xlogy", "pow", "eq", "ne", "lt", "le", "gt", "ge"),
    *("logical_and", "logical_or", "logical_xor", "floor_divide"),
)
_SCALAR = (
    *("add", "sub", "mul", "div", "rsub", "fmod", "remainder", "copysign", "xlogy", "pow", "eq", "ne", "lt", "le"),
    *("gt", "ge", "floor_divide", "clamp_min", "clamp_max"),
)
_BITS = ("bitwise_and", "bitwise_or", "bitwise_xor", "bitwise_left_shift", "bitwise_right_shift", "__and__", "__or__")


def _all_unary(x: torch.Tensor) -> list[torch.Tensor]:
    return [getattr(torch, name)(x) for name in _UNARY] + [getattr(F, name)(x) for name in _ACTIVATIONS]


def _all_binary(x: torch.Tensor, y: torch.Tensor) -> list[torch.Tensor]:
    return [getattr(torch, name)(x, y) for name in _BINARY]


def _all_with_numbers(x: torch.Tensor) -> list[torch.Tensor]:
    found = [getattr(torch, name)(x, 1.5) for name in _SCALAR]
    return [*found, torch.pow(1.5, x), torch.xlogy(1.5, x), torch.clamp(x, -1, 1), torch.special.logit(x, 0.1)]


def _all_bits(x: torch.Tensor, y: torch.Tensor) -> list[torch.Tensor]:
    found = []
    for name in _BITS:
        function = getattr(torch.Tensor, name)
        found += [function(x, y), function(x, 3)]
    shifted = [torch.bitwise_and(3, x), torch.bitwise_or(3, x), torch.bitwise_xor(3, x), torch.bitwise_not(x)]
    return [*found, *shifted, torch.bitwise_left_shift(3, x), torch.bitwise_right_shift(300, x), x << 1, x >> 1, x ^ y]


def _slopes(x: torch.Tensor) -> list[torch.Tensor]:
    slope = (x.shape[0] + 1) ** -0.5
    found = [function(x, slope) for function in (F.leaky_relu, F.elu, F.celu, F.softplus)]
    return [*found, F.softplus(x, x.shape[1] + 1, 2 * slope), F.hardtanh(x, -slope, slope), F.threshold(x, slope, 1)]


CASES = (
    Symbolic("functions of one", _all_unary, ["n,m"], [positive], "activation"),
    Symbolic("functions of two", _all_binary, ["n,m", "n,m"], [positive], "activation"),
    Symbolic("with numbers", _all_with_numbers, ["n,m"], [positive], "activation"),
    Symbolic("integers", _all_bits, ["n,m", "m"], [integers]),
    _pair("broadcast", lambda x, y: (x + y, x * y.expand(x.shape[0], -1, x.shape[2]), x > y)),
    Symbolic("broadcast of all", lambda x, y, z: x + y * z, ["n,1,k", "m,1", "1,m,1"], family="activation"),
    Symbolic("0-d", lambda x, y: x * y + y, ["n", ""], family="activation"),
    _plain("sizes as numbers", lambda x: (x * x.shape[0] + x.shape[1], x / max(x.shape[0], 1), x.shape[0] + 1)),
    _plain("float of a size", lambda x: (x * (x.shape[1] + 1) ** -0.5, x / (x.shape[0] * 1.5 + 1))),
    _plain("slopes of sizes", _slopes),
    _plain(
        "where", lambda x: (torch.where(x > 0, x, 0.0), x.masked_fill(x > 0, 2), x.masked_fill(x > 0, x.new_ones(())))
    ),
    Symbolic("where of three", torch.where, ["n,1", "m", "n,m"], [bools, positive]),
    _pair("lerp", lambda x, y: (torch.lerp(x, y, 0.3), torch.lerp(x, y, x), torch.addcmul(x, y, y, value=0.5))),
    Symbolic("addcdiv", lambda x, y: torch.addcdiv(x, x, y), ["n,m,k", "m,1"], [positive], "activation"),
    _pair("clamp", lambda x, y: (torch.clamp(x, y, y + 1), torch.clamp_min(x, y), torch.clamp_max(x, y))),
    Symbolic("prelu", lambda x, w: F.prelu(x, w), ["n,m,k", "m"], family="activation"),
    _plain(
        "rounding", lambda x: (torch.round(x, decimals=1), torch.div(x, 2.0, rounding_mode="floor"), x.to(torch.int32))
    ),
    _pair("division", lambda x, y: torch.div(x, y.abs() + 1, rounding_mode="trunc")),
    _plain("casts", lambda x: (x.double(), x.half(), x > 0, (x > 0).int())),
)
