"""Masks among the indices of writes, rows that are made shorter, sorters, views of views."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from harness import Case, Inputs, check_cases, compile_to_test, import_cases

from stepwell.support.errors import RuntimeFailure


def put(*places: Any, accumulate: bool = False) -> Callable[..., torch.Tensor]:
    """Return a function that writes values at places; a text names one of the tensors behind the values."""

    def function(x: torch.Tensor, values: torch.Tensor, *tensors: torch.Tensor) -> torch.Tensor:
        found = tuple(tensors[place] if isinstance(place, int) else place for place in places)
        return torch.ops.aten.index_put(x, found, values, accumulate)

    return function


def test_masks_among_indices() -> None:
    draw = Inputs()
    x = draw.floats(3, 4, 5)
    rows, columns = torch.tensor([True, False, True]), torch.tensor([False, True, True, False])
    pair = torch.tensor([2, 0])
    number, two, table = draw.floats(1), draw.floats(2, 5), draw.floats(3, 2, 5)
    whole = draw.bools(4, 5)
    cases = [
        Case("beside-numbers", put(0, 1), [x, number, rows, pair]),
        Case("behind-numbers", put(0, 1), [x, two, pair, columns]),
        Case("beside-one-number", put(0, 1, accumulate=True), [x, number, torch.tensor([1]), columns]),
        Case("two", put(0, 1), [x, two, rows, columns]),
        Case("two-for-one-value", put(0, 1), [x, number, rows, columns]),
        Case("one-true-element", put(0, 1), [x, two, torch.tensor([False, True, False]), columns]),
        Case("behind-a-dimension", put(None, 0), [x, table, columns]),
        Case("none-true", put(0, 1, accumulate=True), [x, number, torch.zeros(3, dtype=torch.bool), torch.tensor([1])]),
        Case("of-two-dimensions", put(0, 1), [x, number, torch.tensor([1]), whole]),
        Case("integers", put(0, 1), [draw.integers(3, 4), draw.integers(2), rows, columns]),
        Case("complex", put(0, 1), [draw.complexes(3, 4), draw.complexes(2), rows, columns]),
    ]
    check_cases("indexing", cases, third_opinion=False)


def test_masks_that_do_not_agree() -> None:
    rows, columns = torch.tensor([True, True, True]), torch.tensor([True, True, False, False])
    case = Case("two", put(0, 1), [torch.zeros(3, 4), torch.zeros(2), columns[:3], columns])
    run = compile_to_test(import_cases([case]))
    with pytest.raises(RuntimeFailure, match="a mask with 2 true elements"):
        run(torch.zeros(3, 4), torch.zeros(2), rows, columns)


def test_rows_that_are_made_shorter() -> None:
    draw = Inputs()
    table, places = draw.floats(6, 5), draw.integers(2, 3, low=0, high=5)
    renorm = torch.ops.aten.embedding_renorm
    cases = [
        Case("euclid", lambda w, i: renorm(w, i, 1.5, 2.0), [table, places]),
        Case("largest", lambda w, i: renorm(w, i, 1.0, torch.inf), [table.double(), places]),
        Case("half", lambda w, i: renorm(w, i, 2.0, 1.0), [table.half(), places]),
        Case("none", lambda w, i: renorm(w, i, 2.0, 2.0), [table, places[:0]]),
    ]
    check_cases("reduction", cases)


def test_sorters_and_views() -> None:
    draw = Inputs()
    x, edges = draw.floats(4, 6), draw.floats(3, 7)
    cases = [
        Case(
            "sorter",
            lambda e, v: torch.searchsorted(e, v, sorter=e.argsort(-1), right=True),
            [edges, draw.floats(3, 4)],
        ),
        Case("whole-numbers", lambda e, v: torch.searchsorted(e, v, sorter=e.argsort()), [draw.integers(7)] * 2),
        Case("transposed", lambda x: x.t().as_strided((3, 2), (1, 6)), [x]),
        Case("from-a-row", lambda x: (x[1:].as_strided((3, 2), (2, 5)), x[1:].as_strided((2,), (1,), 8)), [x]),
        Case("of-views", lambda x: x[:, 1:3].t()[1].unsqueeze(0).as_strided((2, 2), (3, 6), 4), [x]),
        Case("of-expanded", lambda x: x[0, :1].expand(5, 1).as_strided((3, 2), (1, 2)), [x]),
        Case("softmax", lambda x: torch._masked_softmax(x, x > 0, 1, 2), [x.abs() - 1], family="activation"),
    ]
    check_cases("indexing", cases)


@pytest.mark.parametrize("name", ("hermite_polynomial_h", "laguerre_polynomial_l", "legendre_polynomial_p"))
def test_polynomials_of_tensors_of_degrees(name: str) -> None:
    draw = Inputs()
    function = getattr(torch.special, name)
    x, degrees = draw.floats(9, low=-0.9, high=0.9), torch.tensor([[-1], [0], [1], [2], [7]])
    cases = [
        Case("of-both", lambda x, n: function(x, n), [x, degrees]),
        Case("of-a-number", lambda n: function(0.5, n), [degrees.double()]),
        # In float32, of which float64 is the judge: a hundred roundings are in either.
        Case("high", lambda x: function(x, 130), [x]),
        Case("bools", lambda x, n: function(x, n), [x > 0, degrees]),
    ]
    check_cases("reduction", cases)


def test_complex_random_numbers() -> None:
    x = torch.zeros(64, 64, dtype=torch.complex64)
    case = Case("drawn", lambda x: (torch.randn_like(x), torch.rand_like(x), torch.randn(64, 64, dtype=x.dtype)), [x])
    normal, uniform, other = compile_to_test(import_cases([case]))(x)
    for drawn in (normal, other):
        assert abs(drawn.abs().square().mean() - 1) < 0.15
        assert abs(drawn.mean()) < 0.1
    assert abs(uniform.mean() - (0.5 + 0.5j)) < 0.05
    assert uniform.real.min() >= 0
    assert uniform.imag.max() < 1
