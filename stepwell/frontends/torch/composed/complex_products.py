"""Products of complex matrices and convolutions, as four products of real ones."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from stepwell.frontends.torch.complex_compositions import composes_complex, parts_of


def bilinear(function: Callable[[Tensor, Tensor], Tensor], lhs: Tensor, rhs: Tensor) -> Tensor:
    """Return ``function``, which is linear in both operands, of complex ones; one of them may be real."""
    if not lhs.dtype.is_complex:
        return torch.complex(*(function(lhs, part) for part in parts_of(rhs)))
    if not rhs.dtype.is_complex:
        return torch.complex(*(function(part, rhs) for part in parts_of(lhs)))
    (a, b), (c, d) = parts_of(lhs), parts_of(rhs)
    return torch.complex(function(a, c) - function(b, d), function(a, d) + function(b, c))


@composes_complex("aten.mm.default", "aten.bmm.default", "aten.mv.default", "aten.dot.default", "aten.matmul.default")
def matmul(lhs: Tensor, rhs: Tensor) -> Tensor:
    """A product of matrices or vectors."""
    return bilinear(torch.matmul, lhs, rhs)


@composes_complex("aten.vdot.default")
def vdot(lhs: Tensor, rhs: Tensor) -> Tensor:
    """A product of vectors, of the first's conjugate."""
    return torch.dot(torch.conj_physical(lhs), rhs)


@composes_complex("aten.linear.default")
def linear(operand: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """A product with a transposed matrix."""
    found = bilinear(torch.nn.functional.linear, operand, weight)
    return found if bias is None else found + bias


@composes_complex("aten.addmm.default", "aten.baddbmm.default", "aten.addmv.default")
def addmm(addend: Tensor, lhs: Tensor, rhs: Tensor, *, beta: Any = 1, alpha: Any = 1) -> Tensor:
    """``beta * addend + alpha * (lhs @ rhs)``; beta 0 ignores the addend, NaN in it included."""
    found = torch.matmul(lhs, rhs)
    if alpha != 1:
        found = found * alpha
    if beta == 0:
        return found
    return found + (addend * beta if beta != 1 else addend)


@composes_complex("aten.convolution.default")
def convolution(
    operand: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
    transposed: bool,
    output_padding: Sequence[int],
    groups: int,
) -> Tensor:
    """A convolution of any number of dimensions, transposed or not."""

    def real(image: Tensor, kernel: Tensor) -> Tensor:
        return torch.ops.aten.convolution.default(
            image, kernel, None, stride, padding, dilation, transposed, output_padding, groups
        )

    found = bilinear(real, operand, weight)
    if bias is None:
        return found
    return found + bias.reshape([-1] + [1] * (weight.dim() - 2))
