"""Pools, against torch."""

import torch
import torch.nn.functional as F
from harness import Case, Inputs, check_cases


def test_windows() -> None:
    draw = Inputs()
    cases = []
    for dtype in (torch.float32, torch.float16, torch.bfloat16, torch.float64):
        x = draw.floats(2, 3, 9, 11, dtype=dtype)
        cases += [
            Case(f"max-{dtype}", lambda x: (F.max_pool2d(x, 3, 2, 1), F.max_pool2d(x, 2, ceil_mode=True)), [x]),
            Case(f"mean-{dtype}", lambda x: (F.avg_pool2d(x, 3, 2, 1), F.avg_pool2d(x, (2, 3))), [x]),
        ]
    x = draw.floats(2, 3, 9, 11)
    cases += [
        Case("dilated", lambda x: F.max_pool2d(x, (3, 2), 1, (1, 0), 2), [x]),
        Case("positions", lambda x: F.max_pool2d(x, 3, 2, 1, return_indices=True), [x]),
        Case("positions-ceil", lambda x: F.max_pool2d(x, 2, 2, 1, ceil_mode=True, return_indices=True), [x]),
        Case("without-padding", lambda x: F.avg_pool2d(x, 3, 2, 1, count_include_pad=False), [x]),
        Case("partial", lambda x: F.avg_pool2d(x, 3, 2, 1, ceil_mode=True), [x]),
        Case("partial-inside", lambda x: F.avg_pool2d(x, 4, 3, 2, ceil_mode=True, count_include_pad=False), [x]),
        Case("divisor", lambda x: F.avg_pool2d(x, 3, divisor_override=5), [x]),
        Case("negative-divisor", lambda x: F.avg_pool2d(x, 3, divisor_override=-5), [draw.integers(2, 9, 8)]),
        Case("unbatched", lambda x: (F.max_pool2d(x[0], 3), F.avg_pool2d(x[1], 2, 1)), [x]),
        Case("signal", lambda x: (F.max_pool1d(x[0], 3, 2), F.avg_pool1d(x[0], 3, 2, 1)), [x]),
        Case("volume", lambda x: (F.max_pool3d(x, 2, 1), F.avg_pool3d(x, (1, 2, 3))), [x]),
        # Lanes behind the last window would divide by zero.
        Case("whole", lambda x: F.avg_pool1d(x, 7, 3, ceil_mode=True), [draw.integers(1, 2, 9)]),
        Case("empty", lambda x: F.max_pool2d(x, 2), [draw.floats(0, 3, 4, 4)]),
    ]
    check_cases("pooling", cases)


def test_not_a_number_wins() -> None:
    draw = Inputs()
    x = draw.floats(1, 2, 8, 8)
    x[0, 0, 3, 4] = torch.nan
    x[0, 1] = -torch.inf
    cases = [
        Case("values", lambda x: F.max_pool2d(x, 3, 2, 1), [x]),
        Case("positions", lambda x: F.max_pool2d(x, 2, return_indices=True), [x]),
    ]
    check_cases("pooling", cases)


def test_the_first_of_windows_of_the_lowest() -> None:
    x = torch.full((2, 2, 7, 9), -torch.inf)
    x[1, 1] = Inputs().floats(7, 9)
    pool = F.max_pool2d
    cases = [
        Case("padded", lambda x: pool(x, 3, 2, 1, return_indices=True), [x]),
        Case("dilated", lambda x: pool(x, (3, 2), 1, (1, 0), 2, return_indices=True), [x]),
        Case("dilated-padded", lambda x: pool(x, 3, 1, 1, 3, return_indices=True), [x]),
        Case("partial", lambda x: pool(x, 2, 2, 1, ceil_mode=True, return_indices=True), [x]),
        Case("adaptive", lambda x: F.adaptive_max_pool2d(x, (3, 4), return_indices=True), [x]),
        Case("rows", lambda x: (*x.max(-1), *(-x).min(1)), [x]),
    ]
    check_cases("pooling", cases)


def test_adaptive() -> None:
    draw = Inputs()
    x = draw.floats(2, 3, 9, 11)
    cases = [
        Case("global", lambda x: F.adaptive_avg_pool2d(x, 1), [x]),
        Case("uneven", lambda x: (F.adaptive_avg_pool2d(x, (4, 5)), F.adaptive_avg_pool2d(x, (3, 11))), [x]),
        Case("larger", lambda x: F.adaptive_avg_pool2d(x, (12, 13)), [x]),
        Case("signal", lambda x: F.adaptive_avg_pool1d(x[0], 4), [x]),
        Case("volume", lambda x: F.adaptive_avg_pool3d(x, (2, 4, 3)), [x]),
        Case("half", lambda x: F.adaptive_avg_pool2d(x, (4, 5)), [x.half()]),
        Case("largest", lambda x: (F.adaptive_max_pool2d(x, (3, 1)), F.adaptive_max_pool1d(x[0], 1)), [x]),
    ]
    check_cases("pooling", cases)


def test_dynamic_sizes() -> None:
    draw = Inputs()
    case = Case(
        "batch-and-width",
        lambda x: (F.max_pool2d(x, 3, 2, 1), F.avg_pool2d(x, 2), F.adaptive_avg_pool2d(x, 1)),
        [draw.floats(2, 3, 8, 10)],
        {0: {0: "n", 3: "w>=4"}},
        [draw.floats(3, 3, 8, 17)],
    )
    check_cases("pooling", [case])
