"""Elementwise operators."""

import operator as python
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
import torch.nn.functional as functions

from stepwell.frontends.onnx.dtypes import torch_dtype
from stepwell.frontends.onnx.registry import OPERATORS, Call, operator
from stepwell.frontends.onnx.values import Value, as_tensor, host, is_host
from stepwell.support.errors import ImportProgramError

_UNARY: dict[str, Callable[[Any], Any]] = {
    "Abs": torch.abs,
    "Acos": torch.acos,
    "Acosh": torch.acosh,
    "Asin": torch.asin,
    "Asinh": torch.asinh,
    "Atan": torch.atan,
    "Atanh": torch.atanh,
    "BitwiseNot": torch.bitwise_not,
    "Ceil": torch.ceil,
    "Cos": torch.cos,
    "Cosh": torch.cosh,
    "Erf": torch.erf,
    "Exp": torch.exp,
    "Floor": torch.floor,
    "IsNaN": torch.isnan,
    "Log": torch.log,
    "Neg": torch.neg,
    "Not": torch.logical_not,
    "Reciprocal": torch.reciprocal,
    "Round": torch.round,
    "Sign": torch.sign,
    "Sin": torch.sin,
    "Sinh": torch.sinh,
    "Sqrt": torch.sqrt,
    "Tan": torch.tan,
    "Mish": functions.mish,
    "Relu": torch.relu,
    "Sigmoid": torch.sigmoid,
    "Softplus": functions.softplus,
    "Softsign": functions.softsign,
    "Tanh": torch.tanh,
}
# Name -> (function of tensors, function of host integers or None)
_BINARY: dict[str, tuple[Callable[[Any, Any], Any], Callable[[Any, Any], Any] | None]] = {
    "Add": (torch.add, python.add),
    "And": (torch.logical_and, None),
    "BitwiseAnd": (torch.bitwise_and, None),
    "BitwiseOr": (torch.bitwise_or, None),
    "BitwiseXor": (torch.bitwise_xor, None),
    "Equal": (torch.eq, None),
    "Greater": (torch.gt, None),
    "GreaterOrEqual": (torch.ge, None),
    "Less": (torch.lt, None),
    "LessOrEqual": (torch.le, None),
    "Mul": (torch.mul, python.mul),
    "Or": (torch.logical_or, None),
    "Sub": (torch.sub, python.sub),
    "Xor": (torch.logical_xor, None),
}


def _register() -> None:
    for name, unary in _UNARY.items():
        OPERATORS[name] = lambda call, x, function=unary: function(as_tensor(x))
    for name, (binary, on_host) in _BINARY.items():
        OPERATORS[name] = lambda call, x, y, tensors=binary, sizes=on_host: _binary(tensors, sizes, x, y)


def _binary(function: Any, on_host: Any, x: Value, y: Value) -> Value:
    if on_host is not None and is_host(x) and is_host(y):
        return on_host(x, y)
    return function(as_tensor(x), as_tensor(y))


_register()


@operator("Identity")
def identity(call: Call, x: Value) -> Value:
    return x


@operator("Div")
def div(call: Call, x: Value, y: Value) -> Value:
    if is_host(x) and is_host(y):
        return x // y
    x, y = as_tensor(x), as_tensor(y)
    # Integers are truncated.
    return torch.div(x, y) if x.dtype.is_floating_point else torch.div(x, y, rounding_mode="trunc")


@operator("Mod")
def mod(call: Call, x: Value, y: Value) -> Value:
    if is_host(x) and is_host(y):
        return x % y
    return (torch.fmod if call.get("fmod", 0) else torch.remainder)(as_tensor(x), as_tensor(y))


@operator("Pow")
def power(call: Call, x: Value, y: Value) -> Value:
    base = as_tensor(x)
    return torch.pow(base, as_tensor(y)).to(base.dtype)


@operator("BitShift")
def bit_shift(call: Call, x: Any, y: Any) -> Any:
    return x << y if call.get("direction") == "LEFT" else x >> y


@operator("Min")
def minimum(call: Call, *values: Value) -> Value:
    return _fold(torch.minimum, np.minimum, values)


@operator("Max")
def maximum(call: Call, *values: Value) -> Value:
    return _fold(torch.maximum, np.maximum, values)


@operator("Sum")
def total(call: Call, *values: Value) -> Value:
    return _fold(torch.add, np.add, values)


@operator("Mean")
def mean(call: Call, *values: Value) -> Any:
    return _fold(torch.add, np.add, [as_tensor(value) for value in values]) / len(values)


def _fold(function: Any, on_host: Any, values: Any) -> Value:
    first, *rest = values if all(map(is_host, values)) else [as_tensor(value) for value in values]
    for value in rest:
        first = (on_host if is_host(first) else function)(first, value)
    return first


@operator("Where")
def where(call: Call, condition: Value, x: Value, y: Value) -> Value:
    return torch.where(as_tensor(condition), as_tensor(x), as_tensor(y))


@operator("IsInf")
def is_infinite(call: Call, x: Any) -> Any:
    high, low = call.get("detect_positive", 1), call.get("detect_negative", 1)
    return (torch.isposinf(x) if high else torch.zeros_like(x, dtype=torch.bool)) | (
        torch.isneginf(x) if low else torch.zeros_like(x, dtype=torch.bool)
    )


@operator("Cast", "CastLike")
def cast(call: Call, x: Value, like: Any = None) -> Value:
    dtype = torch_dtype(call.get("to")) if like is None else as_tensor(like).dtype
    if is_host(x) and dtype in (torch.int64, torch.int32):
        return x
    return as_tensor(x).to(dtype)


@operator("Clip")
def clip(call: Call, x: Value, low: Value = None, high: Value = None) -> Value:
    low, high = call.get("min", low), call.get("max", high)
    if is_host(x) and all(bound is None or is_host(bound) for bound in (low, high)):
        x = x if low is None else np.maximum(x, low)
        return x if high is None else np.minimum(x, high)
    x = as_tensor(x)
    for bound, function in ((low, torch.maximum), (high, torch.minimum)):
        if bound is not None:
            limit = as_tensor(bound) if not isinstance(bound, float) else torch.tensor(bound)
            x = function(x, limit.to(x.dtype))
    return x


# -- activations -----------------------------------------------------------------------------------------------------


@operator("LeakyRelu")
def leaky_relu(call: Call, x: Any) -> Any:
    return functions.leaky_relu(x, call.get("alpha", 0.01))


@operator("PRelu")
def prelu(call: Call, x: Any, slope: Any) -> Any:
    return torch.where(x < 0, x * slope, x)


@operator("Elu")
def elu(call: Call, x: Any) -> Any:
    return functions.elu(x, call.get("alpha", 1.0))


@operator("Celu")
def celu(call: Call, x: Any) -> Any:
    return functions.celu(x, call.get("alpha", 1.0))


@operator("Selu")
def selu(call: Call, x: Any) -> Any:
    alpha, gamma = call.get("alpha", 1.6732632423543772), call.get("gamma", 1.0507009873554805)
    return gamma * torch.where(x > 0, x, alpha * torch.expm1(x))


@operator("HardSigmoid")
def hard_sigmoid(call: Call, x: Any) -> Any:
    return (x * call.get("alpha", 0.2) + call.get("beta", 0.5)).clamp(0, 1)


@operator("HardSwish")
def hard_swish(call: Call, x: Any) -> Any:
    return x * (x / 6 + 0.5).clamp(0, 1)


@operator("ThresholdedRelu")
def thresholded_relu(call: Call, x: Any) -> Any:
    return torch.where(x > call.get("alpha", 1.0), x, 0)


@operator("Gelu")
def gelu(call: Call, x: Any) -> Any:
    return functions.gelu(x, approximate=call.get("approximate", "none"))


@operator("Swish")
def swish(call: Call, x: Any) -> Any:
    return x * torch.sigmoid(x * call.get("alpha", 1.0))


@operator("Dropout")
def dropout(call: Call, x: Any, ratio: Any = None, training: Any = None) -> Any:
    """Inference: nothing is dropped."""
    if training is not None and (2 not in call.constants or call.constants[2].any()):
        raise ImportProgramError(f"node '{call.name}': Dropout while training is not supported")
    return (x, torch.ones_like(x, dtype=torch.bool)) if call.outputs > 1 else x


@operator("Shape")
def shape(call: Call, x: Value) -> Value:
    sizes = list(x.shape)
    return host(sizes[call.get("start", 0) : call.get("end")])


@operator("Size")
def size(call: Call, x: Value) -> Value:
    count: Any = 1
    for extent in x.shape:
        count = count * extent
    return host(count)
