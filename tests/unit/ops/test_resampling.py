"""Upsampling, against torch."""

import torch.nn.functional as F
from harness import Case, Inputs, check_cases


def test_nearest() -> None:
    draw = Inputs()
    x = draw.floats(2, 3, 5, 7)
    cases = [
        Case("factor", lambda x: F.interpolate(x, scale_factor=2), [x]),
        Case("size", lambda x: F.interpolate(x, (9, 4)), [x]),
        Case("exact", lambda x: F.interpolate(x, (9, 4), mode="nearest-exact"), [x]),
        Case("signal", lambda x: F.interpolate(x[0], 13), [x]),
        Case("volume", lambda x: F.interpolate(x[None], (3, 10, 7)), [x]),
        Case("half", lambda x: F.interpolate(x, scale_factor=2), [x.half()]),
    ]
    check_cases("resampling", cases, third_opinion=False)


def test_linear() -> None:
    draw = Inputs()
    x = draw.floats(2, 3, 5, 7)
    cases = [
        Case("factor", lambda x: F.interpolate(x, scale_factor=2, mode="bilinear"), [x]),
        Case("corners", lambda x: F.interpolate(x, (9, 4), mode="bilinear", align_corners=True), [x]),
        Case("smaller", lambda x: F.interpolate(x, (3, 4), mode="bilinear"), [x]),
        Case("signal", lambda x: F.interpolate(x[0], 13, mode="linear"), [x]),
        Case("half", lambda x: F.interpolate(x, (9, 4), mode="bilinear"), [x.half()]),
    ]
    check_cases("resampling", cases, third_opinion=False)


def test_dynamic_batch() -> None:
    draw = Inputs()
    case = Case(
        "batch",
        lambda x: (F.interpolate(x, scale_factor=2), F.interpolate(x, (9, 4), mode="bilinear")),
        [draw.floats(2, 3, 5, 7)],
        {0: {0: "n"}},
        [draw.floats(3, 3, 5, 7)],
    )
    check_cases("resampling", [case], third_opinion=False)
