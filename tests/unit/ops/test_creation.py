"""Tensors made from nothing: against eager torch."""

import torch
from harness import Case, Inputs, check_cases

DTYPES = (torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.int64, torch.int8, torch.uint8, torch.bool)


def test_filled() -> None:
    draw = Inputs()
    x = draw.floats(2, 3)
    cases = []
    for dtype in DTYPES:
        cases += [
            Case(f"full {dtype}", lambda x, d=dtype: torch.full((2, 3), 1, dtype=d), [x]),
            Case(f"full_like {dtype}", lambda x, d=dtype: torch.full_like(x, 3, dtype=d), [x]),
            Case(f"zeros {dtype}", lambda x, d=dtype: torch.zeros(4, dtype=d), [x]),
            Case(f"ones_like {dtype}", lambda x, d=dtype: torch.ones_like(x, dtype=d), [x]),
            Case(f"new_zeros {dtype}", lambda x, d=dtype: x.new_zeros((3, 1), dtype=d), [x]),
            Case(f"scalar_tensor {dtype}", lambda x, d=dtype: torch.scalar_tensor(1, dtype=d), [x]),
        ]
    cases += [
        Case("infinite", lambda x: torch.full((2,), float("-inf")), [x]),
        Case("no elements", lambda x: torch.zeros(0, 3), [x]),
        Case("rank 0", lambda x: torch.ones(()), [x]),
        Case("fill", lambda x: torch.empty_like(x).fill_(2.5), [x]),
        Case("fill with a tensor", lambda x, y: torch.fill(x, y), [x, draw.floats()]),
        Case("constant", lambda x: x + torch.tensor([1.0, 2.0, 3.0]), [x]),
        Case("eye", lambda x: torch.eye(3, 4), [x]),
        Case("symbolic", lambda x: torch.full((x.shape[0], 2 * x.shape[0] + 1), 7), [draw.floats(3)], {0: {0: "n"}},
             [draw.floats(6)]),
    ]  # fmt: skip
    check_cases("creation", cases)


def test_ranges() -> None:
    draw = Inputs()
    x = draw.floats(2, 3)
    cases = []
    for dtype in DTYPES[:-1]:
        cases += [
            Case(f"arange {dtype}", lambda x, d=dtype: torch.arange(7, dtype=d), [x]),
            Case(f"arange by steps {dtype}", lambda x, d=dtype: torch.arange(2, 17, 3, dtype=d), [x]),
        ]
    cases += [
        Case("downwards", lambda x: torch.arange(5, -7, -2), [x]),
        Case("fractions", lambda x: torch.arange(0.5, 3.1, 0.25), [x]),
        Case("nothing", lambda x: torch.arange(0), [x]),
        Case("linspace", lambda x: torch.linspace(-1, 2, 17), [x]),
        Case("linspace of one", lambda x: torch.linspace(-1, 2, 1), [x]),
        Case("linspace of whole numbers", lambda x: torch.linspace(90, -7, 50, dtype=torch.int64), [x]),
        Case("linspace of none", lambda x: torch.linspace(90, -7, 0, dtype=torch.int64), [x]),
        Case("linspace between cut numbers", lambda x: torch.linspace(4.3, -9, 50, dtype=torch.int32), [x]),
        Case("linspace of large numbers", lambda x: torch.linspace(0, 2**40, 7, dtype=torch.int64), [x]),
        Case("linspace between tensors", lambda x: torch.linspace(x[0, 0], x[1, 1] * 90, 31, dtype=torch.int64), [x]),
        Case("linspace of complex numbers", lambda x: torch.linspace(1, 2 - 1j, 5), [x]),
        Case("symbolic end", lambda x: torch.arange(x.shape[0]), [draw.floats(5)], {0: {0: "n"}}, [draw.floats(9)]),
        Case("symbolic start", lambda x, y: torch.arange(x.shape[0], x.shape[0] + y.shape[0]),
             [draw.floats(5), draw.floats(3)], {0: {0: "n"}, 1: {0: "m"}}, [draw.floats(2), draw.floats(7)]),
    ]  # fmt: skip
    check_cases("creation", cases)


def test_triangles() -> None:
    draw = Inputs()
    cases = []
    for dtype in (torch.float32, torch.bfloat16, torch.int64, torch.bool):
        for diagonal in (0, -1, 2):
            x = draw.like(dtype, 2, 4, 5)
            cases.append(Case(f"tril {diagonal} {dtype}", lambda x, k=diagonal: torch.tril(x, k), [x]))
            cases.append(Case(f"triu {diagonal} {dtype}", lambda x, k=diagonal: torch.triu(x, k), [x]))
    cases += [
        Case("tril_indices", lambda x: torch.tril_indices(3, 4, 1), [draw.floats(2)]),
        Case("triu_indices", lambda x: torch.triu_indices(4, 3, -1), [draw.floats(2)]),
        Case("symbolic", torch.tril, [draw.floats(3, 5)], {0: {0: "n"}}, [draw.floats(7, 5)]),
    ]
    check_cases("creation", cases)
