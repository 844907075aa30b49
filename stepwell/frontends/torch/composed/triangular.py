"""Triangular systems and Cholesky's factorisation: one column a round, computed in float64.

Each round subtracts the product of one column and one row from what is left, as LAPACK's unblocked routines do.
"""

from typing import Any

import torch
from torch import Tensor

from stepwell.frontends.torch.composed.loops import repeat
from stepwell.frontends.torch.compositions import composes


def exact(matrix: Tensor) -> Tensor:
    """Return a matrix in the precision that factorisations are computed in."""
    return matrix.to(torch.complex128 if matrix.is_complex() else torch.float64)


def by_columns(matrix: Tensor) -> Tensor:
    """Return a matrix that lies in memory column by column, as LAPACK's results do."""
    return matrix.mT.contiguous().mT


def with_batch(matrix: Tensor, other: Tensor) -> Tensor:
    """Return a matrix repeated for the batch dimensions that it and another one broadcast to."""
    batch = torch.broadcast_shapes(matrix.shape[:-2], other.shape[:-2])
    return matrix.expand(*batch, *matrix.shape[-2:])


def solved(matrix: Tensor, right: Tensor, *, upper: bool, unit: bool = False) -> Tensor:
    """Return ``x`` of ``matrix @ x == right``, of which only one triangle is read; ``[..., n, n]``, ``[..., n, m]``."""
    if upper:
        return solved(matrix.flip(-2, -1), right.flip(-2), upper=False, unit=unit).flip(-2)
    rows = torch.arange(matrix.shape[-1], device=matrix.device).unsqueeze(-1)

    def step(k: Tensor, x: Tensor, matrix: Tensor, rows: Tensor) -> Any:
        place = k.unsqueeze(0)
        column = matrix.index_select(-1, place)
        row = x.index_select(-2, place)
        if not unit:
            row = row / column.index_select(-2, place)
        return (torch.where(rows > k, x - column * row, torch.where(rows == k, row, x)),), ()

    (found,), _ = repeat(matrix.shape[-1], step, [with_batch(right, matrix)], matrix, rows)
    return found


@composes("aten.linalg_solve_triangular.default")
def solve_triangular(
    matrix: Tensor, right: Tensor, *, upper: bool, left: bool = True, unitriangular: bool = False
) -> Tensor:
    """The unknown stands at the right of the matrix, or at its left."""
    if left:
        found = solved(exact(matrix), exact(right), upper=upper, unit=unitriangular)
    else:
        found = solved(exact(matrix).mT, exact(right).mT, upper=not upper, unit=unitriangular).mT
    return by_columns(found.to(right.dtype))


@composes("aten.triangular_solve.default")
def triangular_solve(
    right: Tensor, matrix: Tensor, upper: bool = True, transpose: bool = False, unitriangular: bool = False
) -> tuple[Tensor, Tensor]:
    """Of the matrix or its transpose; the second result is a copy of the matrix."""
    given = exact(matrix).mT if transpose else exact(matrix)
    found = solved(given, exact(right), upper=upper != transpose, unit=unitriangular)
    return by_columns(found.to(right.dtype)), by_columns(with_batch(matrix, right).clone())


# -- Cholesky ------------------------------------------------------------------------------------------------------


@composes("aten.linalg_cholesky_ex.default")
def cholesky_ex(matrix: Tensor, *, upper: bool = False, check_errors: bool = False) -> tuple[Tensor, Tensor]:
    """The factor, and the order of the first leading minor that is not positive; of one triangle of the matrix."""
    given = exact(matrix.mH if upper else matrix)
    rows = torch.arange(matrix.shape[-1], device=matrix.device).unsqueeze(-1)
    info = torch.zeros(matrix.shape[:-2], dtype=torch.int32, device=matrix.device)

    def step(k: Tensor, a: Tensor, info: Tensor, rows: Tensor) -> Any:
        place = k.unsqueeze(0)
        column = a.index_select(-1, place)
        pivot = column.index_select(-2, place).real
        root = pivot.sqrt()
        factor = torch.where(rows == k, root.to(a.dtype), column / root)
        rest = (rows > k) & (rows.mT > k)
        taken = torch.where(rest, a - factor * factor.mH, torch.where(rows.mT == k, factor, a))
        wrong = ~(pivot > 0).squeeze(-1).squeeze(-1) & (info == 0)
        return (taken, torch.where(wrong, (k + 1).to(torch.int32), info)), ()

    (found, info), _ = repeat(matrix.shape[-1], step, [given, info], rows)
    lower = found.to(matrix.dtype).tril()
    if check_errors:
        require_zero(info, "linalg.cholesky_ex")
    return by_columns(lower.mH if upper else lower), info


def require_zero(info: Tensor, name: str) -> None:
    """Let a call fail where a factorisation did."""
    torch.ops.aten._linalg_check_errors(info, name, is_matrix=info.dim() == 0)


@composes("aten.cholesky.default")
def cholesky(matrix: Tensor, upper: bool = False) -> Tensor:
    """A matrix that is not positive definite is an error."""
    factor, info = cholesky_ex(matrix, upper=upper)
    require_zero(info, "cholesky")
    return factor


@composes("aten.cholesky_solve.default")
def cholesky_solve(right: Tensor, factor: Tensor, upper: bool = False) -> Tensor:
    """Two triangular systems."""
    lower = exact(factor.mH if upper else factor)
    half = solved(lower, exact(right), upper=False)
    return by_columns(solved(lower.mH, half, upper=True).to(right.dtype))


@composes("aten.cholesky_inverse.default")
def cholesky_inverse(factor: Tensor, upper: bool = False) -> Tensor:
    """The inverse of the product of a factor and its adjoint."""
    identity = torch.eye(factor.shape[-1], dtype=factor.dtype, device=factor.device)
    return cholesky_solve(identity.expand(factor.shape), factor, upper)
