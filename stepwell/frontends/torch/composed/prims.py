"""Torch's primitive ops, which its own references are made of, as the ATen ops that do the same."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from stepwell.frontends.torch.compositions import COMPOSITIONS, composes

# Primitives take operands of one dtype, where the ATen op of the same name computes what they compute.
_SAME = (
    *("abs", "acos", "acosh", "asin", "asinh", "atan", "atanh", "bitwise_not", "ceil", "cos", "cosh", "digamma"),
    *("erf", "erfc", "exp", "exp2", "expm1", "floor", "isfinite", "lgamma", "log", "log10", "log1p", "log2", "neg"),
    *("reciprocal", "round", "rsqrt", "sign", "signbit", "sin", "sinh", "sqrt", "tan", "tanh", "trunc"),
    *("add", "atan2", "bitwise_and", "bitwise_or", "bitwise_xor", "eq", "fmax", "fmin", "fmod", "gcd", "ge", "gt"),
    *("hypot", "igamma", "igammac", "le", "lt", "maximum", "minimum", "mul", "ne", "nextafter", "pow", "remainder"),
    *("sub", "where", "clone", "cat", "as_strided_scatter", "fill", "reshape"),
)
_SPECIAL = {
    "bessel_i0": "i0",
    "bessel_i0e": "i0e",
    "bessel_i1": "i1",
    "bessel_i1e": "i1e",
    "bessel_j0": "bessel_j0",
    "bessel_j1": "bessel_j1",
    "erf_inv": "erfinv",
    "erfcx": "erfcx",
    "ndtri": "ndtri",
    "spherical_bessel_j0": "spherical_bessel_j0",
    "zeta": "zeta",
}
_OTHER_NAMES = {"rev": torch.flip, "shift_left": torch.bitwise_left_shift}
_OTHER_NAMES |= {"shift_right_arithmetic": torch.bitwise_right_shift}

COMPOSITIONS.update({f"prims.{name}.default": getattr(torch, name) for name in _SAME})
COMPOSITIONS.update({f"prims.{name}.default": getattr(torch.special, same) for name, same in _SPECIAL.items()})
COMPOSITIONS.update({f"prims.{name}.default": same for name, same in _OTHER_NAMES.items()})


@composes("prims.div.default")
def div(lhs: Tensor, rhs: Tensor) -> Tensor:
    """Integers are divided towards zero."""
    exact = lhs.is_floating_point() or lhs.is_complex()
    return torch.div(lhs, rhs) if exact else torch.div(lhs, rhs, rounding_mode="trunc")


@composes("prims.cbrt.default")
def cbrt(operand: Tensor) -> Tensor:
    """The real cube root, in float64."""
    return operand.double().abs().pow(1 / 3).copysign(operand).to(operand.dtype)


@composes("prims.iota.default")
def iota(
    length: int, *, start: int, step: int, dtype: torch.dtype, device: Any = None, requires_grad: bool = False
) -> Tensor:
    """``start + step * [0, length)``."""
    return (torch.arange(length, device=device) * step + start).to(dtype)


@composes("prims.collapse.default")
def collapse(operand: Tensor, start: int, end: int) -> Tensor:
    """Dimensions ``start`` to ``end``, both included, become one."""
    return operand.flatten(start, end) if operand.dim() else operand.clone()


def _all_dims(operand: Tensor, dims: Sequence[int] | None) -> list[int]:
    return list(range(operand.dim())) if dims is None else list(dims)


def _in_dtype(result: Tensor, dtype: torch.dtype | None) -> Tensor:
    return result if dtype is None else result.to(dtype)


@composes("prims.sum.default")
def reduce_sum(operand: Tensor, dims: Sequence[int] | None, *, output_dtype: torch.dtype | None = None) -> Tensor:
    """Like the other reductions, it keeps the operand's dtype, integers too."""
    return operand.sum(_all_dims(operand, dims), dtype=output_dtype or operand.dtype)


@composes("prims.prod.default")
def reduce_prod(operand: Tensor, dims: Sequence[int] | None, *, output_dtype: torch.dtype | None = None) -> Tensor:
    """The product over several dimensions, the last first."""
    result = operand.to(output_dtype or operand.dtype)
    for dim in sorted(_all_dims(operand, dims), reverse=True):
        result = result.prod(dim, dtype=result.dtype)
    return result


@composes("prims.amax.default")
def reduce_amax(operand: Tensor, dims: Sequence[int] | None, *, output_dtype: torch.dtype | None = None) -> Tensor:
    """The largest element."""
    return _in_dtype(operand.amax(_all_dims(operand, dims)), output_dtype)


@composes("prims.amin.default")
def reduce_amin(operand: Tensor, dims: Sequence[int] | None, *, output_dtype: torch.dtype | None = None) -> Tensor:
    """The smallest element."""
    return _in_dtype(operand.amin(_all_dims(operand, dims)), output_dtype)


@composes("prims.var.default")
def reduce_var(
    operand: Tensor,
    dims: Sequence[int] | None,
    correction: float | None = 1,
    *,
    output_dtype: torch.dtype | None = None,
) -> Tensor:
    """The variance."""
    return _in_dtype(operand.var(_all_dims(operand, dims), correction=correction), output_dtype)


@composes("prims.full.default")
def full(shape: Sequence[int], value: Any, *, dtype: torch.dtype, device: Any = None, requires_grad: bool) -> Tensor:
    """A tensor of one value."""
    return torch.full(list(shape), value, dtype=dtype, device=device)


@composes("prims.full_like.default")
def full_like(operand: Tensor, value: Any, *, dtype: torch.dtype, device: Any = None, requires_grad: bool) -> Tensor:
    """A tensor of one value, in a tensor's shape."""
    return torch.full_like(operand, value, dtype=dtype)


@composes("prims.scalar_tensor.default")
def scalar_tensor(value: Any, *, dtype: torch.dtype | None = None, device: Any = None) -> Tensor:
    """A tensor without dimensions."""
    return torch.full((), value, dtype=dtype, device=device)


@composes("prims.copy_strided.default")
@composes("prims.device_put.default")
def same_elements(operand: Tensor, *_: Any) -> Tensor:
    """Memory and devices have no meaning here."""
    return operand.clone()
