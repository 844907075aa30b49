"""Factorisations, what is solved by them, and the exponential of a matrix."""

import pytest
import torch
from harness import Case, Inputs, check_cases, compile_to_test, gradients, import_cases

from stepwell.support.errors import RuntimeFailure

linalg = torch.linalg


def positive(x: torch.Tensor) -> torch.Tensor:
    """Return a matrix that is positive definite."""
    return x @ x.mH + torch.eye(x.shape[-1])


def test_triangles() -> None:
    draw = Inputs()
    matrix, right = draw.floats(2, 5, 5) + 4 * torch.eye(5), draw.floats(5, 3)
    empty = draw.floats(2, 0, 0)
    cases = [
        Case("upper", lambda a, b: linalg.solve_triangular(a, b, upper=True), [matrix, right]),
        Case(
            "lower-at-the-right",
            lambda a, b: linalg.solve_triangular(a.tril(), b.mT, upper=False, left=False, unitriangular=True),
            [matrix / 4, right],
        ),
        Case("transposed", lambda a, b: tuple(torch.triangular_solve(b, a, transpose=True)), [matrix, right]),
        Case("cholesky", lambda a: tuple(linalg.cholesky_ex(a)), [positive(matrix)]),
        Case("upper-cholesky", lambda a: torch.cholesky(a, upper=True), [positive(matrix.double())]),
        Case(
            "by-cholesky",
            lambda a, b: (torch.cholesky_solve(b, a), torch.cholesky_inverse(a.mT, upper=True)),
            [matrix.tril(), right],
        ),
        Case("empty", lambda a: (linalg.cholesky(a), linalg.solve_triangular(a, a, upper=True)), [empty]),
    ]
    check_cases("contraction", cases)


def test_triangles_and_pivots() -> None:
    draw = Inputs()
    square, right = draw.floats(2, 5, 5), draw.floats(5, 3)
    wide, tall = draw.floats(3, 5), draw.floats(4, 3, dtype=torch.float64)
    permuted = torch.tensor([[3, 2, 3], [1, 3, 3]], dtype=torch.int32)
    cases = [
        Case("factors", lambda a: tuple(linalg.lu_factor_ex(a)), [square]),
        Case("wide", lambda a: tuple(linalg.lu(a)), [wide]),
        Case("unpacked", lambda a: torch.lu_unpack(*linalg.lu_factor(a)), [tall]),
        Case("given", lambda a, p: torch.lu_unpack(a, p), [draw.floats(2, 3, 3), permuted]),
        Case("solve", lambda a, b: linalg.solve(a, b), [square, right]),
        Case("solve-at-the-right", lambda a, b: linalg.solve(a.mT, b.mT, left=False), [square, right]),
        Case("solve-a-vector", lambda a, b: linalg.solve(a, b), [square, draw.floats(2, 5)]),
        Case("inverse", lambda a: tuple(linalg.inv_ex(a)), [square]),
        Case("determinant", lambda a: (linalg.det(a), *linalg.slogdet(a)), [square]),
        Case("singular", lambda a: (linalg.det(a), *linalg.slogdet(a)), [torch.ones(3, 3)]),
        Case("power", lambda a: linalg.matrix_power(a, -2), [square]),
        Case("empty", lambda a: (linalg.det(a), linalg.inv(a)), [draw.floats(2, 0, 0)]),
    ]
    check_cases("contraction", cases)


@pytest.mark.parametrize("adjoint", (False, True))
def test_solving_by_factors(adjoint: bool) -> None:
    draw = Inputs()
    factors, pivots = linalg.lu_factor(draw.complexes(2, 4, 4))
    cases = [
        Case(
            "left", lambda f, p, b: linalg.lu_solve(f, p, b, adjoint=adjoint), [factors, pivots, draw.complexes(4, 3)]
        ),
        Case(
            "right",
            lambda f, p, b: linalg.lu_solve(f, p, b, left=False, adjoint=adjoint),
            [factors, pivots, draw.complexes(3, 4)],
        ),
    ]
    check_cases("contraction", cases)


def test_reflections() -> None:
    draw = Inputs()
    tall, wide, other = draw.floats(2, 5, 3), draw.floats(3, 4, dtype=torch.float64), draw.floats(2, 5, 4)
    zeros = torch.zeros(4, 3)
    vectors, factors = torch.geqrf(tall)
    cases = [
        Case("reduced", lambda a: tuple(linalg.qr(a)), [tall]),
        Case("complete", lambda a: tuple(linalg.qr(a, "complete")), [wide]),
        Case("triangle", lambda a: linalg.qr(a, "r").R, [wide]),
        Case("zeros", lambda a: tuple(linalg.qr(a)), [zeros]),
        Case("stored", lambda a: tuple(torch.geqrf(a)), [tall]),
        Case("product", lambda a, t: linalg.householder_product(a, t[..., :2]), [vectors, factors]),
        Case("multiplied", lambda a, t, c: torch.ormqr(a, t, c, transpose=True), [vectors, factors, other]),
        Case("at-the-right", lambda a, t, c: torch.ormqr(a, t, c.mT, left=False), [vectors, factors, other]),
    ]
    check_cases("contraction", cases)


def test_complex_matrices() -> None:
    draw = Inputs()
    square, right, tall = draw.complexes(3, 3), draw.complexes(3, 2), draw.complexes(4, 3)
    cases = [
        Case("cholesky", lambda a: linalg.cholesky(a), [positive(square)]),
        Case("solve", lambda a, b: linalg.solve(a, b), [square, right]),
        Case("qr", lambda a: tuple(linalg.qr(a)), [tall]),
        Case("exponential", lambda a: torch.matrix_exp(a), [square]),
    ]
    check_cases("contraction", cases)


def test_exponentials() -> None:
    draw = Inputs()
    x = draw.floats(3, 4, 4)
    sizes = torch.tensor([1e-3, 1.0, 8.0]).view(3, 1, 1)
    cases = [
        Case("of-several-norms", lambda a: torch.matrix_exp(a), [x * sizes]),
        # A dozen products, one of the other.
        Case("float64", lambda a: torch.matrix_exp(a), [x.double()], family="model"),
        Case("of-a-number", lambda a: torch.matrix_exp(a), [draw.floats(1, 1)]),
        Case("empty", lambda a: torch.matrix_exp(a), [draw.floats(2, 0, 0)]),
    ]
    check_cases("contraction", cases)


def test_sizes_that_are_known_at_the_call() -> None:
    draw = Inputs()

    def function(a: torch.Tensor, b: torch.Tensor) -> tuple[torch.Tensor, ...]:
        return linalg.solve(a, b), linalg.qr(b).R.abs(), torch.matrix_exp(a)

    square, right = [(draw.floats(n, n), draw.floats(n, 3)) for n in (5, 7)]
    batches = [positive(draw.floats(m, n, n)) for m, n in ((2, 3), (1, 6))]
    cases = [
        Case("several", function, square, {0: {0: "n>=4", 1: "n>=4"}, 1: {0: "n>=4"}}, right),
        Case("batch", linalg.cholesky, [batches[0]], {0: {0: "m", 1: "n", 2: "n"}}, [batches[1]]),
    ]
    check_cases("contraction", cases)


def test_gradients() -> None:
    draw = Inputs()
    square, right = draw.floats(4, 4), draw.floats(4, 2)
    cases = [
        Case("solve", gradients(linalg.solve), [square, right]),
        Case("cholesky", gradients(lambda a: linalg.cholesky(positive(a))), [square]),
        Case("determinant", gradients(linalg.det), [square]),
    ]
    check_cases("contraction", cases)


@pytest.mark.parametrize(
    ("function", "name"),
    ((linalg.inv, "linalg.inv"), (linalg.cholesky, "linalg.cholesky"), (torch.cholesky, "cholesky")),
)
def test_matrices_that_cannot_be_factorised(function: object, name: str) -> None:
    run = compile_to_test(import_cases([Case("matrix", lambda x: function(x), [torch.eye(3)])]))
    with pytest.raises(RuntimeFailure, match=f"{name}: the matrix is singular"):
        run(torch.zeros(3, 3))
