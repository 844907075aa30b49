"""Complex numbers that are added or multiplied at places given by indices."""

import cmath
from typing import Any

import torch
from torch import Tensor

from stepwell.frontends.torch.complex_compositions import composes_complex


@composes_complex("aten.scatter.value_reduce")
def scatter_number(operand: Tensor, dim: int, index: Tensor, value: complex, *, reduce: str) -> Tensor:
    """Add a number, or multiply by it, as often as an element is named: ``n`` times, or with its ``n``-th power."""
    none = torch.zeros_like(torch.real(operand))
    count = none.scatter_add(dim, index, torch.ones_like(index, dtype=none.dtype))
    number = complex(value)
    if reduce == "add":
        return operand + torch.complex(count * number.real, count * number.imag)
    length, angle = torch.pow(abs(number), count), count * cmath.phase(number)
    return operand * torch.complex(length * torch.cos(angle), length * torch.sin(angle))


@composes_complex("aten.scatter.reduce")
def scatter_reduced(operand: Tensor, dim: int, index: Tensor, src: Tensor, *, reduce: str) -> Any:
    """Sums; products of numbers that meet in one place are left, and refused by name."""
    return operand.scatter_add(dim, index, src) if reduce == "add" else NotImplemented
