"""Reflections: factorisation into an orthogonal and a triangular matrix, as LAPACK stores it; computed in float64."""

from typing import Any

import torch
from torch import Tensor

from stepwell.frontends.torch.composed.loops import repeat
from stepwell.frontends.torch.composed.triangular import by_columns, exact
from stepwell.frontends.torch.compositions import composes


def reflections(matrix: Tensor) -> tuple[Tensor, Tensor]:
    """Return the triangle with the reflections' vectors below it, and their factors: LAPACK's geqrf."""
    rows = torch.arange(matrix.shape[-2], device=matrix.device).unsqueeze(-1)
    columns = torch.arange(matrix.shape[-1], device=matrix.device)

    def step(k: Tensor, a: Tensor, rows: Tensor, columns: Tensor) -> Any:
        place = k.unsqueeze(0)
        column = a.index_select(-1, place)
        corner = column.index_select(-2, place)
        tail = torch.where(rows > k, column, 0.0)
        # Squares of numbers that are near one neither overflow nor vanish.
        largest = torch.where(rows >= k, column.abs(), 0.0).amax(-2, keepdim=True)
        scale = torch.where(largest == 0, 1.0, largest)
        below = (tail.abs() / scale).square().sum(-2, keepdim=True)
        length = ((corner.abs() / scale).square() + below).sqrt() * scale
        edge = torch.where(corner.real < 0, length, -length)
        none = (below == 0) & (corner.imag == 0) if a.is_complex() else below == 0
        beta = torch.where(none, corner, edge)
        tau = torch.where(none, 0.0, (beta - corner) / torch.where(none, 1.0, beta))
        low = tail / torch.where(none, 1.0, corner - beta)
        vector = torch.where(rows == k, 1.0, low)
        rest = a - tau.conj() * vector * (vector.mH @ a)
        done = torch.where(rows == k, beta, torch.where(rows > k, low, column))
        a = torch.where(columns > k, rest, torch.where(columns == k, done, a))
        return (a,), (tau.squeeze(-1).squeeze(-1),)

    count = min(matrix.shape[-2], matrix.shape[-1])
    (found,), behind = repeat(count, step, [exact(matrix)], rows, columns)
    factors = behind[0].movedim(0, -1) if behind else found.new_zeros((*matrix.shape[:-2], 0))
    return found, factors


def reflected(vectors: Tensor, factors: Tensor, matrix: Tensor, *, adjoint: bool = False) -> Tensor:
    """Return the product of all reflections, or its adjoint, and a matrix."""
    rows = torch.arange(vectors.shape[-2], device=vectors.device).unsqueeze(-1)
    if not adjoint:
        vectors, factors = vectors.narrow(-1, 0, factors.shape[-1]).flip(-1), factors.flip(-1)

    def step(k: Tensor, x: Tensor, vectors: Tensor, factors: Tensor, rows: Tensor) -> Any:
        place = k.unsqueeze(0)
        # Which of the columns, counted from the first, has ones on the diagonal.
        row = k if adjoint else factors.shape[-1] - 1 - k
        column = vectors.index_select(-1, place)
        vector = torch.where(rows == row, 1.0, torch.where(rows > row, column, 0.0))
        factor = factors.index_select(-1, place).unsqueeze(-1)
        return (x - (factor.conj() if adjoint else factor) * vector * (vector.mH @ x),), ()

    (found,), _ = repeat(factors.shape[-1], step, [matrix], vectors, factors, rows)
    return found


def _identity(matrix: Tensor, columns: Any) -> Tensor:
    rows = matrix.shape[-2]
    one = torch.eye(rows, columns, dtype=matrix.dtype, device=matrix.device)
    return one.expand(*matrix.shape[:-2], rows, columns)


@composes("aten.geqrf.default")
def geqrf(matrix: Tensor) -> tuple[Tensor, Tensor]:
    """As LAPACK stores it."""
    found, factors = reflections(matrix)
    return by_columns(found.to(matrix.dtype)), factors.to(matrix.dtype).contiguous()


@composes("aten.linalg_householder_product.default")
def householder_product(vectors: Tensor, factors: Tensor) -> Tensor:
    """The first columns of the product of reflections."""
    given = exact(vectors)
    found = reflected(given, exact(factors), _identity(given, vectors.shape[-1]))
    return by_columns(found.to(vectors.dtype))


@composes("aten.ormqr.default")
def ormqr(vectors: Tensor, factors: Tensor, other: Tensor, left: bool = True, transpose: bool = False) -> Tensor:
    """The product of all reflections, or its adjoint, and a matrix at one side of it."""
    given, taus, wanted = exact(vectors), exact(factors), exact(other)
    if left:
        found = reflected(given, taus, wanted, adjoint=transpose)
    else:
        found = reflected(given, taus, wanted.mH, adjoint=not transpose).mH
    return by_columns(found.to(other.dtype))


@composes("aten.linalg_qr.default")
def qr(matrix: Tensor, mode: str = "reduced") -> tuple[Tensor, Tensor]:
    """The orthogonal matrix has all columns ("complete"), as many as needed ("reduced") or is left out ("r")."""
    rows, columns = matrix.shape[-2:]
    found, factors = reflections(matrix)
    height = rows if mode == "complete" else min(rows, columns)
    upper = by_columns(found.narrow(-2, 0, height).triu().to(matrix.dtype))
    if mode == "r":
        return matrix.new_empty(0), upper
    product = reflected(found, factors, _identity(found, height))
    return by_columns(product.to(matrix.dtype)), upper
