"""Factorisation into a lower and an upper triangle with pivots, and what follows from it; computed in float64."""

from typing import Any

import torch
from torch import Tensor

from stepwell.frontends.torch.composed.loops import repeat
from stepwell.frontends.torch.composed.triangular import by_columns, exact, require_zero, solved, with_batch
from stepwell.frontends.torch.compositions import composes


def factorised(matrix: Tensor, pivot: bool = True) -> tuple[Tensor, Tensor, Tensor]:
    """Return both triangles in one matrix, the pivots from 1 on, and the first pivot that is zero, or 0.

    Rows are exchanged for the largest element of a column; of complex ones LAPACK measures both parts' sum.
    """
    rows = torch.arange(matrix.shape[-2], device=matrix.device).unsqueeze(-1)
    columns = torch.arange(matrix.shape[-1], device=matrix.device)
    info = torch.zeros(matrix.shape[:-2], dtype=torch.int32, device=matrix.device)

    def step(k: Tensor, a: Tensor, info: Tensor, rows: Tensor, columns: Tensor) -> Any:
        place = k.unsqueeze(0)
        row = a.index_select(-2, place)
        if pivot:
            column = a.index_select(-1, place)
            size = column.real.abs() + column.imag.abs() if a.is_complex() else column.abs()
            best = torch.where(rows >= k, size, -1.0).squeeze(-1).argmax(-1)
        else:
            best = k.expand(info.shape)
        chosen = best.unsqueeze(-1).unsqueeze(-1)
        upper = a.gather(-2, chosen.expand(*info.shape, 1, a.shape[-1]))
        a = torch.where(rows == k, upper, torch.where(rows == chosen, row, a))
        corner = upper.index_select(-1, place)
        zero = corner == 0
        lower = a.index_select(-1, place) / torch.where(zero, 1.0, corner)
        below = rows > k
        a = torch.where(below & (columns > k), a - lower * upper, torch.where(below & (columns == k), lower, a))
        wrong = zero.squeeze(-1).squeeze(-1) & (info == 0)
        return (a, torch.where(wrong, (k + 1).to(torch.int32), info)), ((best + 1).to(torch.int32),)

    count = min(matrix.shape[-2], matrix.shape[-1])
    (found, info), behind = repeat(count, step, [exact(matrix), info], rows, columns)
    if behind:
        pivots = behind[0].movedim(0, -1).contiguous()
    else:
        pivots = torch.zeros((*matrix.shape[:-2], 0), dtype=torch.int32, device=matrix.device)
    return found, pivots, info


def order_of(pivots: Tensor, size: Any) -> Tensor:
    """Return which row comes to each place when rows are exchanged with pivots, one after another."""
    places = torch.arange(size, device=pivots.device)
    order = places.expand(*pivots.shape[:-1], size)

    def step(k: Tensor, order: Tensor, pivots: Tensor, places: Tensor) -> Any:
        place = k.unsqueeze(0)
        other = pivots.index_select(-1, place).to(torch.int64) - 1
        this, that = order.index_select(-1, place), order.gather(-1, other)
        return (torch.where(places == k, that, torch.where(places == other, this, order)),), ()

    (found,), _ = repeat(pivots.shape[-1], step, [order], pivots, places)
    return found


def permutation(order: Tensor, dtype: torch.dtype) -> Tensor:
    """Return the matrix whose product with the ordered rows is the rows as they were."""
    places = torch.arange(order.shape[-1], device=order.device).unsqueeze(-1)
    return (places == order.unsqueeze(-2)).to(dtype)


def triangles(factors: Tensor) -> tuple[Tensor, Tensor]:
    """Return the lower one, whose diagonal is 1, and the upper one."""
    rows, columns = factors.shape[-2:]
    count = min(rows, columns)
    one = torch.eye(rows, count, dtype=factors.dtype, device=factors.device)
    return factors.narrow(-1, 0, count).tril(-1) + one, factors.narrow(-2, 0, count).triu()


def solved_by(factors: Tensor, pivots: Tensor, right: Tensor, *, adjoint: bool = False) -> Tensor:
    """Return ``x`` of ``a @ x == right``, or of ``a``'s adjoint, with ``a`` factorised."""
    order = order_of(pivots, factors.shape[-1])
    places = with_batch(order.unsqueeze(-1), right)
    places = places.expand(*places.shape[:-1], right.shape[-1])
    right = with_batch(right, factors)
    if not adjoint:
        half = solved(factors, right.gather(-2, places), upper=False, unit=True)
        return solved(factors, half, upper=True)
    half = solved(factors.mH, right, upper=False)
    half = solved(factors.mH, half, upper=True, unit=True)
    return torch.zeros_like(half).scatter(-2, places, half)


@composes("aten.linalg_lu_factor_ex.default")
def lu_factor_ex(matrix: Tensor, *, pivot: bool = True, check_errors: bool = False) -> tuple[Tensor, Tensor, Tensor]:
    """Both triangles in one matrix."""
    factors, pivots, info = factorised(matrix, pivot)
    if check_errors:
        require_zero(info, "linalg.lu_factor_ex")
    return by_columns(factors.to(matrix.dtype)), pivots, info


@composes("aten.linalg_lu.default")
def lu(matrix: Tensor, *, pivot: bool = True) -> tuple[Tensor, Tensor, Tensor]:
    """A permutation and two triangles."""
    factors, pivots, _ = factorised(matrix, pivot)
    lower, upper = triangles(factors.to(matrix.dtype))
    if not pivot:
        return matrix.new_empty(0), lower, upper
    return permutation(order_of(pivots, matrix.shape[-2]), matrix.dtype), lower, upper


@composes("aten.lu_unpack.default")
def lu_unpack(
    factors: Tensor, pivots: Tensor, unpack_data: bool = True, unpack_pivots: bool = True
) -> tuple[Tensor, Tensor, Tensor]:
    """What ``lu`` gives, of factors that are there already; empty tensors for what is not asked for."""
    lower, upper = triangles(factors) if unpack_data else (factors.new_empty(0), factors.new_empty(0))
    if not unpack_pivots:
        return factors.new_empty(0), lower, upper
    return permutation(order_of(pivots, factors.shape[-2]), factors.dtype), lower, upper


@composes("aten.linalg_lu_solve.default")
def lu_solve(factors: Tensor, pivots: Tensor, right: Tensor, *, left: bool = True, adjoint: bool = False) -> Tensor:
    """The unknown stands at the right of the matrix, or at its left."""
    given, wanted = exact(factors), exact(right)
    if left:
        return by_columns(solved_by(given, pivots, wanted, adjoint=adjoint).to(right.dtype))
    return by_columns(solved_by(given, pivots, wanted.mH, adjoint=not adjoint).mH.to(right.dtype))


@composes("aten._linalg_solve_ex.default")
def solve_ex(
    matrix: Tensor, right: Tensor, *, left: bool = True, check_errors: bool = False
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """The solution for a vector or a matrix, and what the matrix was factorised into."""
    vector = right.dim() == 1 or (matrix.dim() - 1 == right.dim() and right.shape == matrix.shape[:-1])
    wanted = exact(right.unsqueeze(-1) if vector else right)
    factors, pivots, info = factorised(matrix)
    found = solved_by(factors, pivots, wanted) if left else solved_by(factors, pivots, wanted.mH, adjoint=True).mH
    if check_errors:
        require_zero(info, "linalg.solve_ex")
    found = found.to(right.dtype)
    return (found.squeeze(-1) if vector else by_columns(found)), by_columns(factors.to(matrix.dtype)), pivots, info


@composes("aten.linalg_inv_ex.default")
def inv_ex(matrix: Tensor, *, check_errors: bool = False) -> tuple[Tensor, Tensor]:
    """The solution for the identity."""
    identity = torch.eye(matrix.shape[-1], dtype=matrix.dtype, device=matrix.device).expand(matrix.shape)
    found, _, _, info = solve_ex(matrix, identity)
    if check_errors:
        require_zero(info, "linalg.inv_ex")
    return found, info


def _signed(matrix: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return the sign of the permutation, the diagonal of the upper triangle, the factors and the pivots.

    Torch factorises the transpose of a real matrix whose rows are contiguous, and its gradients rely on that.
    """
    turned = matrix.is_contiguous() and not matrix.is_complex()
    factors, pivots, _ = factorised(matrix.mT if turned else matrix)
    places = torch.arange(1, matrix.shape[-1] + 1, device=matrix.device)
    odd = (pivots != places).sum(-1) % 2 == 1
    sign = torch.where(odd, -1.0, 1.0).to(torch.float64)
    return sign, factors.diagonal(dim1=-2, dim2=-1), by_columns(factors.to(matrix.dtype)), pivots


@composes("aten._linalg_det.default")
def det(matrix: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The product of the diagonal, and what the matrix was factorised into."""
    sign, diagonal, factors, pivots = _signed(matrix)
    return (diagonal.prod(-1) * sign).to(matrix.dtype), factors, pivots


@composes("aten._linalg_slogdet.default")
def slogdet(matrix: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """The sign and the logarithm of the size of the determinant, and what the matrix was factorised into."""
    sign, diagonal, factors, pivots = _signed(matrix)
    size = diagonal.abs()
    signs = (diagonal.sgn().prod(-1) * sign).to(matrix.dtype)
    return signs, size.log().sum(-1).to(size.to(matrix.dtype).real.dtype), factors, pivots
