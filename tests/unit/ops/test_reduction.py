"""Reductions, against torch."""

import torch
from harness import Case, Inputs, check_cases
from hypothesis import given, settings
from hypothesis import strategies as st

FLOATS = (torch.float32, torch.float16, torch.bfloat16, torch.float64)
INTEGERS = (torch.int64, torch.int32, torch.uint8, torch.bool)


def test_sums_and_means() -> None:
    draw = Inputs()
    cases = []
    for dtype in FLOATS:
        # One sign: where terms cancel, their roundings are large beside the sum, in whatever order they are added.
        x = draw.floats(3, 37, 5, dtype=dtype, low=0.2)
        cases += [
            Case(f"sum-{dtype}", lambda x: (x.sum(), x.sum(0), x.sum((1, 2), keepdim=True), x.sum(-1)), [x]),
            Case(f"mean-{dtype}", lambda x: (x.mean(), x.mean(1), x.mean((0, 2), keepdim=True)), [x]),
            Case(f"var-{dtype}", lambda x: (x.var(), x.var(1), x.std(-1, correction=0), *torch.var_mean(x, 0)), [x]),
            Case(f"prod-{dtype}", lambda x: (x.prod(0), x.prod(-1, keepdim=True)), [x]),
        ]
    for dtype in INTEGERS:
        x = draw.like(dtype, 3, 5, 4)
        cases.append(Case(f"sum-{dtype}", lambda x: (x.sum(), x.sum(1), x.prod(), x.prod(2)), [x]))
    x = draw.integers(3, 5)
    cases.append(Case("other-dtype", lambda x: (x.sum(dtype=torch.float32), x.mean(dtype=torch.float32)), [x]))
    check_cases("reduction", cases)


def test_extremes_and_logic() -> None:
    draw = Inputs()
    cases = []
    for dtype in FLOATS + INTEGERS:
        x = draw.like(dtype, 4, 9, 3)
        cases += [
            Case(f"any-{dtype}", lambda x: (x.any(), x.any(1), x.all(), x.all(-1, keepdim=True)), [x]),
            Case(f"arg-{dtype}", lambda x: (*x.max(1), *x.min(-1, keepdim=True)), [x]),
            Case(f"extreme-{dtype}", lambda x: (x.amax(), x.amin(1), x.amax((0, 2)), x.max(), x.min()), [x]),
        ]
        if dtype is not torch.bool:
            cases.append(Case(f"at-{dtype}", lambda x: (x.argmax(), x.argmin(1), x.argmax(0, keepdim=True)), [x]))
    check_cases("reduction", cases)


def test_not_a_number_wins() -> None:
    draw = Inputs()
    x = draw.floats(5, 40)
    x[1, 7] = x[3, 39] = x[4, 0] = torch.nan
    x[2, 3] = torch.inf
    x[0, 1] = -torch.inf
    cases = [
        Case("extremes", lambda x: (x.amax(1), x.amin(1), x.amax(0), x.max(), x.min()), [x]),
        Case("positions", lambda x: (*x.max(1), *x.min(1), x.argmax(1), x.argmin(0)), [x]),
        Case("sums", lambda x: (x.sum(1), x.mean(0), x.any(1), x.all(1)), [x]),
    ]
    check_cases("reduction", cases)


def test_sizes() -> None:
    draw = Inputs()
    cases = [
        Case("scalar", lambda x: (x.sum(), x.mean(), x.amax(), x.any(), x.argmax(), *x.max(0)), [draw.floats()]),
        Case("one", lambda x: (x.sum(0), x.var(0, correction=0), x.amin(1), *x.max(1)), [draw.floats(1, 1)]),
        Case("nothing", lambda x: (x.sum(0), x.prod(0), x.mean(0), x.any(0), x.all(0), x.sum(1)), [draw.floats(0, 3)]),
        Case("no-rows", lambda x: (x.sum(1), x.amax(1), x.argmax(1), x.mean(1)), [draw.floats(0, 3)]),
        Case("long", lambda x: (x.sum(), x.amax(), x.mean(), x.argmin()), [draw.floats(100_003, low=0.2)]),
        Case("columns", lambda x: (x.sum(0), x.amax(0), x.var(0)), [draw.floats(257, 65, low=0.2)]),
    ]
    check_cases("reduction", cases)


def test_dynamic_sizes() -> None:
    draw = Inputs()
    case = Case(
        "rows-and-columns",
        lambda x: (x.sum(), x.sum(0), x.mean(1), x.amax(0), x.var(1), x.argmax(1), x.argmin()),
        [draw.floats(5, 9, low=0.2)],
        {0: {0: "n", 1: "m>=2"}},
        [draw.floats(3, 18, low=0.2)],
    )
    check_cases("reduction", [case])


@settings(max_examples=4, deadline=None)
@given(st.lists(st.integers(1, 11), min_size=1, max_size=4), st.data())
def test_drawn_shapes(shape: list[int], data: st.DataObject) -> None:
    dims = data.draw(st.lists(st.integers(0, len(shape) - 1), min_size=1, unique=True))
    keep = data.draw(st.booleans())
    x = Inputs().floats(*shape, low=0.2)
    check_cases("reduction", [Case(f"{shape}-{dims}", lambda x: (x.sum(dims, keep), x.amax(dims, keep)), [x])])
