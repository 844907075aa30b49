"""Torch ops on complex tensors, rewritten as torch ops on their real and imaginary parts.

No op of ours knows complex numbers.  A composition for complex operands is a function of the op's own arguments, as
those of ``compositions`` are; it takes its operands apart by ``parts_of`` or ``promoted_parts`` and puts results
together by ``torch.complex``, which the importer turns into nothing.  What treats both parts alike, the importer does
itself: see ``complex_values``.
"""

from collections.abc import Callable, Iterable
from typing import Any, TypeVar

import torch
from torch import Tensor
from torch._prims_common import ELEMENTWISE_TYPE_PROMOTION_KIND, elementwise_dtypes

COMPLEX_COMPOSITIONS: dict[str, Callable[..., Any]] = {}

F = TypeVar("F", bound=Callable[..., Any])
Parts = tuple[Tensor, Tensor]


def composes_complex(*targets: str) -> Callable[[F], F]:
    """Register what becomes of op overloads such as ``"aten.exp.default"`` where they take complex numbers."""

    def register(function: F) -> F:
        for target in targets:
            COMPLEX_COMPOSITIONS[target] = function
        return function

    return register


def takes_complex(arguments: Iterable[Any]) -> bool:
    """Return whether there is a complex tensor, number or dtype among a call's arguments, lists included."""
    for argument in arguments:
        if isinstance(argument, Tensor):
            if argument.dtype.is_complex:
                return True
        elif isinstance(argument, torch.dtype):
            if argument.is_complex:
                return True
        elif isinstance(argument, complex) or (isinstance(argument, list | tuple) and takes_complex(argument)):
            return True
    return False


def parts_of(value: Tensor) -> Parts:
    """Return real and imaginary part; that of a real tensor is zero."""
    if value.dtype.is_complex:
        return torch.real(value), torch.imag(value)
    return value, torch.zeros_like(value)


def promoted_parts(*values: Any) -> list[Parts]:
    """Return the parts of tensors and numbers, all in the dtype that torch promotes them to."""
    kind = ELEMENTWISE_TYPE_PROMOTION_KIND.DEFAULT
    real = elementwise_dtypes(*values, type_promotion_kind=kind)[1].to_real()
    device = next(value.device for value in values if isinstance(value, Tensor))
    found: list[Parts] = []
    for value in values:
        if isinstance(value, Tensor):
            re, im = parts_of(value)
            found.append((re.to(real), im.to(real)))
        else:
            number = complex(value)
            found.append(
                (
                    torch.full((), number.real, dtype=real, device=device),
                    torch.full((), number.imag, dtype=real, device=device),
                )
            )
    return found
