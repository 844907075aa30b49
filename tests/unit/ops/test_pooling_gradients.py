"""Gradients of pools and resizes against torch's own."""

from typing import Any

import torch.nn.functional as F
from harness import Case, Inputs, check_cases, gradients


def test_gradients_of_means() -> None:
    draw = Inputs()
    x, y = draw.floats(2, 3, 9, 11), draw.floats(2, 2, 5, 6, 7)
    options: dict[str, dict[str, Any]] = {
        "plain": {"kernel_size": 2},
        "overlapping": {"kernel_size": 3, "stride": 2, "padding": 1},
        "ceil": {"kernel_size": (3, 2), "stride": (2, 3), "padding": 1, "ceil_mode": True},
        "uncounted": {"kernel_size": 3, "stride": 1, "padding": 1, "count_include_pad": False, "ceil_mode": True},
        "divided": {"kernel_size": 2, "stride": 3, "divisor_override": 3},
        "global": {"kernel_size": (9, 11)},
        "long": {"kernel_size": 9, "stride": 1, "padding": 4},
    }
    cases = [Case(name, _gradients(F.avg_pool2d, **given), [x]) for name, given in options.items()]
    cases += [
        Case("1d", _gradients(F.avg_pool1d, kernel_size=3, stride=2), [draw.floats(3, 9, 11)]),
        Case("3d", _gradients(F.avg_pool3d, kernel_size=2, padding=1), [y]),
        Case("unbatched", _gradients(F.avg_pool2d, kernel_size=2), [draw.floats(3, 9, 11)]),
        Case(
            "dynamic",
            _gradients(F.avg_pool2d, kernel_size=3, stride=2),
            [draw.floats(2, 3, 9, 11)],
            {0: {0: "b"}},
            [draw.floats(1, 3, 9, 11)],
        ),
    ]
    cases += [Case(f"adaptive-{size}", _gradients(F.adaptive_avg_pool2d, output_size=size), [x]) for size in (1, 4, 13)]
    cases += [Case("adaptive-3d", _gradients(F.adaptive_avg_pool3d, output_size=(2, 3, 9)), [y])]
    check_cases("pooling", cases)


def test_gradients_of_maxima() -> None:
    draw = Inputs()
    x, y = draw.floats(2, 3, 9, 11), draw.floats(2, 2, 5, 6, 7)
    cases = [
        Case("1d", _gradients(F.max_pool1d, kernel_size=3, stride=2), [draw.floats(3, 9, 11)]),
        Case("2d", _gradients(F.max_pool2d, kernel_size=3, stride=2, padding=1, dilation=2), [x]),
        Case("3d", _gradients(F.max_pool3d, kernel_size=2, ceil_mode=True), [y]),
        Case("adaptive", _gradients(F.adaptive_max_pool2d, output_size=(4, 3)), [x]),
        Case("adaptive-3d", _gradients(F.adaptive_max_pool3d, output_size=2), [y]),
    ]
    check_cases("pooling", cases)


def test_gradients_of_resizes() -> None:
    draw = Inputs()
    x, y, z = draw.floats(2, 3, 7, 9), draw.floats(2, 2, 4, 3, 5), draw.floats(2, 3, 8)
    cases = [Case(f"nearest-{size}", _resize("nearest", size=size), [x]) for size in ((14, 27), (5, 20))]
    cases += [
        Case("nearest-1d", _resize("nearest", scale_factor=1.7), [z]),
        Case("nearest-3d", _resize("nearest", scale_factor=2), [y]),
        Case("exact", _resize("nearest-exact", size=(5, 20)), [x]),
        Case("linear", _resize("linear", size=13), [z]),
        Case("trilinear", _resize("trilinear", size=(8, 2, 5)), [y]),
    ]
    for mode in ("bilinear", "bicubic"):
        cases += [
            Case(mode, _resize(mode, size=(12, 5)), [x]),
            Case(f"{mode}-aligned", _resize(mode, size=(12, 5), align_corners=True), [x]),
            Case(f"{mode}-scaled", _resize(mode, scale_factor=(1.3, 2.5)), [x]),
            Case(f"{mode}-smooth", _resize(mode, size=(4, 12), antialias=True), [x]),
        ]
    check_cases("resampling", cases)


def _gradients(function: Any, **options: Any) -> Any:
    return gradients(lambda x: function(x, **options))


def _resize(mode: str, **options: Any) -> Any:
    return _gradients(F.interpolate, mode=mode, **options)
