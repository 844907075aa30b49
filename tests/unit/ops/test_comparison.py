"""Comparisons, tests, logic and selection: against eager torch."""

import torch
from harness import Case, Inputs, check_cases

DTYPES = (torch.float64, torch.float32, torch.bfloat16, torch.int64, torch.int8, torch.uint8, torch.bool)
RELATIONS = (torch.eq, torch.ne, torch.lt, torch.le, torch.gt, torch.ge)
SPECIAL = (float("nan"), float("inf"), float("-inf"), 0.0, -0.0, 1.0)


def test_relations() -> None:
    draw = Inputs()
    cases = []
    for dtype in DTYPES:
        lhs = draw.like(dtype, 4, 5)
        rhs = torch.where(draw.bools(4, 5), lhs, draw.like(dtype, 4, 5))
        cases += [Case(f"{f.__name__} {dtype}", f, [lhs, rhs]) for f in RELATIONS]
    half = torch.where(draw.bools(20), torch.tensor(1.0), draw.floats(20)).half()
    cases += [Case(f"{f.__name__} with 1", lambda x, f=f: f(x, 1), [half]) for f in RELATIONS]
    large = torch.tensor([200, 3, 255], dtype=torch.uint8)
    cases += [Case(f"{f.__name__} large uint8", f, [large, large.flip(0)]) for f in RELATIONS]
    left, right = torch.tensor(SPECIAL), torch.tensor(SPECIAL[::-1])
    cases += [Case(f"{f.__name__} special", f, [left, right]) for f in RELATIONS]
    cases += [Case("int against float", torch.lt, [draw.integers(5), draw.floats(5)])]
    cases += [Case("int against 1.5", lambda x: x > 1.5, [draw.integers(9, low=-3, high=3)])]
    check_cases("elementwise", cases)


def test_tests() -> None:
    draw = Inputs()
    functions = (torch.isnan, torch.isinf, torch.isfinite, torch.signbit)
    cases = []
    for dtype in DTYPES:
        value = torch.tensor(SPECIAL, dtype=dtype) if dtype.is_floating_point else draw.like(dtype, 7)
        cases += [Case(f"{f.__name__} {dtype}", f, [value]) for f in functions]
    check_cases("elementwise", cases)


def test_logic() -> None:
    draw = Inputs()
    cases = []
    for dtype in DTYPES:
        lhs, rhs = draw.like(dtype, 9), draw.like(dtype, 9)
        lhs = torch.where(draw.bools(9), torch.zeros_like(lhs), lhs)
        functions = (torch.logical_and, torch.logical_or, torch.logical_xor)
        cases += [Case(f"{f.__name__} {dtype}", f, [lhs, rhs]) for f in functions]
        cases.append(Case(f"not {dtype}", torch.logical_not, [lhs]))
    check_cases("elementwise", cases)


def test_selection() -> None:
    draw = Inputs()
    condition = draw.bools(4, 1)
    cases = []
    for dtype in DTYPES:
        lhs, rhs = draw.like(dtype, 4, 5), draw.like(dtype, 5)
        cases += [
            Case(f"where {dtype}", torch.where, [condition, lhs, rhs]),
            Case(f"where number {dtype}", lambda c, x: torch.where(c, x, 1), [condition, lhs]),
            Case(f"masked_fill {dtype}", lambda x, c: x.masked_fill(c, 1), [lhs, condition]),
        ]
    cases += [
        Case("where mixes dtypes", torch.where, [condition, draw.integers(4, 5), draw.floats(5)]),
        Case("masked_fill -inf", lambda x, c: x.masked_fill(c, float("-inf")), [draw.floats(4, 5), condition]),
        Case("where keeps NaN out", lambda x: torch.where(x > 0, x.log(), 0.0), [draw.floats(9)]),
        Case("empty", torch.where, [draw.bools(0, 3), draw.floats(0, 3), draw.floats(3)]),
    ]
    check_cases("elementwise", cases)
