"""The exponential of a matrix: a Taylor polynomial of the matrix divided by a power of two, squared as often."""

import math
from typing import Any

import torch
from torch import Tensor
from torch._higher_order_ops.while_loop import while_loop_op

from stepwell.frontends.torch.composed.loops import as_pairs, as_whole
from stepwell.frontends.torch.composed.triangular import exact
from stepwell.frontends.torch.compositions import composes

# Of a matrix whose norm is not more than this, the polynomial of this degree is exact in float64:
# norm ** 20 / 20! is under 2 ** -60.
_NORM = 1.0
_BLOCKS = 5
_POWERS = 4


@composes("aten.linalg_matrix_exp.default")
def matrix_exp(matrix: Tensor) -> Tensor:
    """Each matrix of a batch is squared as often as its own norm asks for."""
    size = matrix.shape[-1]
    if isinstance(size, int) and size == 0:
        return matrix.clone()
    given = exact(matrix)
    norm = given.abs().sum(-2).amax(-1)
    times = torch.where(norm.isfinite() & (norm > _NORM), (norm / _NORM).log2().ceil(), 0.0)
    scaled = given * torch.exp2(-times).unsqueeze(-1).unsqueeze(-1)
    found = _squared(_polynomial(scaled), times.to(torch.int64))
    return found.to(matrix.dtype)


def _polynomial(matrix: Tensor) -> Tensor:
    """Return the first terms of the exponential series: polynomials of low powers, in Horner's scheme of a higher."""
    identity = torch.eye(matrix.shape[-1], dtype=matrix.dtype, device=matrix.device).expand(matrix.shape)
    powers = [identity, matrix]
    for _ in range(2, _POWERS + 1):
        powers.append(powers[-1] @ matrix)
    total = torch.zeros_like(matrix)
    for block in reversed(range(_BLOCKS)):
        terms = [powers[i] / float(math.factorial(_POWERS * block + i)) for i in reversed(range(_POWERS))]
        total = total @ powers[_POWERS] if block < _BLOCKS - 1 else total
        for term in terms:
            total = total + term
    return total


def _squared(matrix: Tensor, times: Tensor) -> Tensor:
    """Return each matrix squared ``times`` times."""

    is_complex = matrix.is_complex()

    def more(pairs: Tensor, times: Tensor) -> Any:
        return (times > 0).any()

    def square(pairs: Tensor, times: Tensor) -> Any:
        whole = as_whole(pairs, is_complex)
        found = torch.where((times > 0).unsqueeze(-1).unsqueeze(-1), whole @ whole, whole)
        return as_pairs(found), times - 1

    return as_whole(while_loop_op(more, square, (as_pairs(matrix), times), ())[0], is_complex)
