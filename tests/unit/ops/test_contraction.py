"""Matrix products, against torch."""

import torch
import torch.nn.functional as F
from harness import Case, Inputs, check_cases
from hypothesis import given, settings
from hypothesis import strategies as st

FLOATS = (torch.float32, torch.float16, torch.bfloat16, torch.float64)


def test_products() -> None:
    draw = Inputs()
    cases = []
    for dtype in FLOATS:

        def floats(*shape: int, dtype: torch.dtype = dtype) -> torch.Tensor:
            return draw.floats(*shape, dtype=dtype)

        # A single sum of terms that cancel has no larger element to be held against.
        vectors = [draw.floats(7, low=0.5, high=2, dtype=dtype) for _ in range(2)]
        cases += [
            Case(f"mm-{dtype}", torch.mm, [floats(13, 37), floats(37, 19)]),
            Case(f"bmm-{dtype}", torch.bmm, [floats(3, 5, 17), floats(3, 17, 9)]),
            Case(f"linear-{dtype}", F.linear, [floats(2, 3, 33), floats(21, 33), floats(21)]),
            Case(f"vectors-{dtype}", lambda a, b, c: (a @ b, b @ c, a @ c), [*vectors, floats(7, 5)]),
            Case(f"addmm-{dtype}", torch.addmm, [floats(9), floats(6, 8), floats(8, 9)]),
        ]
    integers = [draw.integers(6, 7), draw.integers(7, 5)]
    cases.append(Case("integers", torch.mm, integers))
    check_cases("contraction", cases)


def test_broadcast_and_transposed() -> None:
    draw = Inputs()
    x, y = draw.floats(2, 1, 5, 8), draw.floats(3, 8, 4)
    cases = [
        Case("batches", torch.matmul, [x, y]),
        Case("transposed", lambda x, y: (x.mT @ x, y @ y.mT, x[0, 0].t() @ x[1, 0]), [x, y]),
        Case("einsum", lambda x, y: (torch.einsum("abij,cjk->acik", x, y), torch.einsum("cjk->kc", y)), [x, y]),
        Case("tensordot", lambda x, y: torch.tensordot(x, y, dims=([3], [1])), [x, y]),
        Case(
            "scaled",
            lambda x, y: torch.baddbmm(y, x[:, 0], y[:, :, :4], beta=2, alpha=0.5),
            [draw.floats(3, 1, 8, 8), y],
        ),
        Case(
            "ignored-addend",
            lambda c, x: torch.addmm(c, x, x, beta=0),
            [torch.full((4, 4), torch.nan), draw.floats(4, 4)],
        ),
        Case("linear-vector", F.linear, [draw.floats(8), draw.floats(3, 8)]),
    ]
    check_cases("contraction", cases)


def test_sizes() -> None:
    draw = Inputs()
    cases = [
        Case("one", torch.mm, [draw.floats(1, 1), draw.floats(1, 1)]),
        Case("no-rows", torch.mm, [draw.floats(0, 3), draw.floats(3, 4)]),
        Case("no-depth", torch.mm, [draw.floats(5, 0), draw.floats(0, 4)]),
        Case("row", torch.mm, [draw.floats(1, 301), draw.floats(301, 77)]),
        Case("column", torch.mm, [draw.floats(77, 301), draw.floats(301, 1)]),
        Case("deep", torch.mm, [draw.floats(17, 1031), draw.floats(1031, 23)]),
        Case("large", torch.mm, [draw.floats(131, 127), draw.floats(127, 137)]),
        Case("no-batch", torch.bmm, [draw.floats(0, 3, 4), draw.floats(0, 4, 5)]),
    ]
    check_cases("contraction", cases)


def test_epilogues() -> None:
    draw = Inputs()
    inputs = [draw.floats(19, 33), draw.floats(21, 33), draw.floats(21), draw.floats(19, 21)]
    cases = [
        Case("relu", lambda x, w, b, r: torch.relu(F.linear(x, w, b)), inputs),
        Case("residual", lambda x, w, b, r: F.linear(x, w, b) + r, inputs),
        Case("gelu", lambda x, w, b, r: F.gelu(F.linear(x, w, b)) * r, inputs),
        Case("two-results", lambda x, w, b, r: ((y := F.linear(x, w, b)), torch.relu(y) + r), inputs),
        Case("row-sum", lambda x, w, b, r: F.softmax(F.linear(x, w, b), -1), inputs),
    ]
    check_cases("contraction", cases)


def test_dynamic_sizes() -> None:
    draw = Inputs()
    weight, bias = draw.floats(21, 33), draw.floats(21)
    cases = [
        Case(
            "rows",
            F.linear,
            [draw.floats(5, 33), weight, bias],
            {0: {0: "n"}},
            [draw.floats(40, 33), weight, bias],
        ),
        Case(
            "all",
            torch.mm,
            [draw.floats(5, 7), draw.floats(7, 9)],
            {0: {0: "m>=2", 1: "k>=2"}, 1: {0: "k>=2", 1: "n>=2"}},
            [draw.floats(18, 29), draw.floats(29, 31)],
        ),
    ]
    check_cases("contraction", cases)


@settings(max_examples=4, deadline=None)
@given(st.integers(1, 70), st.integers(1, 70), st.integers(1, 70))
def test_drawn_shapes(m: int, n: int, k: int) -> None:
    draw = Inputs()
    x, y = draw.floats(m, k), draw.floats(k, n)
    check_cases("contraction", [Case(f"{m}x{n}x{k}", lambda x, y: (x @ y, F.linear(y.t(), x)), [x, y])])
