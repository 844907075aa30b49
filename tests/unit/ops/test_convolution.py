"""Convolutions and transposed convolutions, against torch."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from harness import Case, Inputs, check_cases
from hypothesis import given, settings
from hypothesis import strategies as st

import stepwell as sw
from stepwell.support.errors import ArgumentError


def test_images() -> None:
    draw = Inputs()
    cases = []
    for dtype in (torch.float32, torch.float16, torch.bfloat16, torch.float64):
        x, w, b = (draw.floats(*shape, dtype=dtype) for shape in ((2, 6, 11, 13), (9, 6, 3, 3), (9,)))
        cases += [
            Case(f"plain-{dtype}", lambda x, w, b: F.conv2d(x, w, b, padding=1), [x, w, b]),
            Case(f"strided-{dtype}", lambda x, w, b: F.conv2d(x, w, b, (2, 1), (0, 2), (1, 2)), [x, w, b]),
        ]
    x = draw.floats(1, 6, 9, 9)
    cases += [
        Case("no-bias", lambda x, w: F.conv2d(x, w), [x, draw.floats(4, 6, 1, 1)]),
        Case("same", lambda x, w: F.conv2d(x, w, padding="same"), [x, draw.floats(4, 6, 3, 4)]),
        Case("groups", lambda x, w: F.conv2d(x, w, groups=3, padding=1), [x, draw.floats(9, 2, 3, 3)]),
        Case("depthwise", lambda x, w: F.conv2d(x, w, groups=6, padding=1), [x, draw.floats(6, 1, 3, 3)]),
        Case("depthwise-wide", lambda x, w: F.conv2d(x, w, groups=6, stride=2), [x, draw.floats(12, 1, 3, 3)]),
        Case("unbatched", lambda x, w: F.conv2d(x[0], w), [x, draw.floats(4, 6, 2, 2)]),
        Case("whole-image", lambda x, w: F.conv2d(x, w), [x, draw.floats(4, 6, 9, 9)]),
        Case(
            "fused",
            lambda x, w, r: torch.relu(F.conv2d(x, w, padding=1) + r),
            [x, draw.floats(4, 6, 3, 3), draw.floats(1, 4, 9, 9)],
        ),
        Case("empty-batch", lambda x, w: F.conv2d(x, w), [draw.floats(0, 6, 9, 9), draw.floats(4, 6, 3, 3)]),
    ]
    check_cases("convolution", cases)


def test_signals_and_volumes() -> None:
    draw = Inputs()
    x, v = draw.floats(2, 4, 31), draw.floats(1, 3, 6, 7, 5)
    cases = [
        Case("signal", lambda x, w, b: F.conv1d(x, w, b, 2, 3, 2), [x, draw.floats(5, 4, 4), draw.floats(5)]),
        Case("signal-groups", lambda x, w: F.conv1d(x, w, groups=2), [x, draw.floats(6, 2, 3)]),
        Case(
            "volume", lambda v, w: F.conv3d(v, w, padding=(1, 0, 2), stride=(1, 2, 1)), [v, draw.floats(4, 3, 3, 2, 3)]
        ),
    ]
    check_cases("convolution", cases)


def test_transposed() -> None:
    draw = Inputs()
    x = draw.floats(2, 4, 5, 6)
    b = draw.floats(3)

    def transposed(**options: object) -> Case:
        name = ", ".join(f"{key}={value}" for key, value in options.items())
        w = draw.floats(4, 3, 3, 2)
        return Case(name, lambda x, w, b: F.conv_transpose2d(x, w, b, **options), [x, w, b])

    cases = [
        transposed(),
        transposed(stride=2),
        transposed(stride=2, padding=1, output_padding=1),
        transposed(stride=3, padding=1, output_padding=(2, 1)),
        transposed(stride=2, dilation=2, padding=(2, 1)),
        Case("doubling", lambda x, w: F.conv_transpose2d(x, w, stride=2), [x, draw.floats(4, 3, 2, 2)]),
        Case("groups", lambda x, w: F.conv_transpose2d(x, w, stride=2, groups=2), [x, draw.floats(4, 3, 3, 3)]),
        Case("signal", lambda x, w: F.conv_transpose1d(x[0], w, stride=4, padding=1), [x, draw.floats(5, 2, 7)]),
        Case("volume", lambda x, w: F.conv_transpose3d(x[None], w, stride=(2, 1, 3)), [x, draw.floats(2, 2, 2, 3, 2)]),
        Case("half", lambda x, w: F.conv_transpose2d(x, w, stride=2), [x.half(), draw.floats(4, 3, 3, 2).half()]),
    ]
    check_cases("convolution", cases)


def test_dynamic_sizes() -> None:
    draw = Inputs()
    w, t, p = draw.floats(5, 3, 3, 3), draw.floats(3, 2, 4, 4), draw.floats(8, 1, 3, 3)
    cases = [
        Case(
            "batch-and-width",
            lambda x, w: F.conv2d(x, w, stride=2, padding=1),
            [draw.floats(2, 3, 9, 11), w],
            {0: {0: "n", 3: "w>=4"}},
            [draw.floats(3, 3, 9, 24), w],
        ),
        Case(
            "transposed",
            lambda x, w: F.conv_transpose2d(x, w, stride=2, padding=1),
            [draw.floats(2, 3, 5, 6), t],
            {0: {0: "n"}},
            [draw.floats(4, 3, 5, 6), t],
        ),
        # One column, and rows that are not known: nothing to put into a vector's lanes.
        Case(
            "one-pixel-per-channel",
            lambda x, w: F.conv2d(x, w, padding=1, groups=8),
            [draw.floats(2, 8, 1, 1), p],
            {0: {0: "n"}},
            [draw.floats(33, 8, 1, 1), p],
        ),
    ]
    check_cases("convolution", cases)


def test_kernels_of_dynamic_sizes() -> None:
    draw = Inputs()

    def case(name: str, function: Callable[..., Any], x: tuple[int, ...], w: tuple[int, ...]) -> Case:
        """All sizes but channels are symbolic; another call has a larger image, and a kernel two taps longer."""
        dynamic = {
            0: {0: "n", **{dim: f"s{dim}>=6" for dim in range(2, len(x))}},
            1: {dim: f"k{dim}" for dim in range(2, len(w))},
        }
        others = [(*x[:-1], x[-1] + 3), (*w[:-1], w[-1] + 2)]
        inputs, more = ([draw.floats(*shape) for shape in shapes] for shapes in ((x, w), others))
        return Case(name, function, inputs, dynamic, more)

    def spread_far(x: torch.Tensor, w: torch.Tensor) -> torch.Tensor:
        return F.conv_transpose1d(x, w, stride=3, padding=2, output_padding=2, dilation=2)

    cases = [
        case("transposed", F.conv_transpose1d, (2, 4, 9), (4, 5, 3)),
        case("far", spread_far, (2, 4, 9), (4, 5, 3)),
        case("cropped", lambda x, w: F.conv_transpose2d(x, w, padding=(1, 3)), (2, 4, 9, 7), (4, 5, 3, 4)),
        case("grouped", lambda x, w: F.conv_transpose2d(x, w, stride=(2, 1), groups=2), (2, 4, 9, 7), (4, 5, 3, 4)),
        case("volume", lambda x, w: F.conv_transpose3d(x, w, stride=2), (2, 4, 6, 6, 7), (4, 3, 3, 2, 3)),
    ]
    check_cases("convolution", cases)


def test_padding_of_dynamic_kernels() -> None:
    class Same(torch.nn.Module):
        def forward(self, x: torch.Tensor, w: torch.Tensor) -> torch.Tensor:
            return F.conv2d(x, w, padding="same", dilation=(1, 2))

    draw, auto = Inputs(), torch.export.Dim.AUTO
    sizes = dict.fromkeys(range(4), auto)
    inputs = draw.floats(2, 4, 9, 9), draw.floats(3, 4, 3, 5)
    executable = sw.compile(torch.export.export(Same(), inputs, dynamic_shapes=(sizes, sizes)), progress=False)
    for x, w in (inputs, (draw.floats(3, 4, 12, 17), draw.floats(6, 4, 5, 7))):
        torch.testing.assert_close(executable(x, w), Same()(x, w), rtol=1e-3, atol=1e-4)
    with pytest.raises(ArgumentError, match="must be 0, got"):
        executable(inputs[0], draw.floats(3, 4, 4, 5))


@settings(max_examples=4, deadline=None)
@given(st.integers(1, 9), st.integers(1, 9), st.integers(1, 4), st.integers(1, 3), st.integers(0, 3), st.integers(1, 2))
def test_drawn_shapes(channels: int, outputs: int, kernel: int, stride: int, padding: int, dilation: int) -> None:
    draw = Inputs()
    x, w = draw.floats(1, channels, 12, 15), draw.floats(outputs, channels, kernel, kernel)
    name = f"{channels}-{outputs}-{kernel}-{stride}-{padding}-{dilation}"
    check_cases("convolution", [Case(name, lambda x, w: F.conv2d(x, w, None, stride, padding, dilation), [x, w])])
