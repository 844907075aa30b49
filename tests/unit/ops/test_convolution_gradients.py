"""Gradients of convolutions against torch's own."""

from collections.abc import Callable, Sequence
from typing import Any

import torch.nn.functional as F
from harness import Case, Inputs, check_cases, gradients


def _convolution(dims: int, transposed: bool = False, **options: Any) -> Callable[..., Any]:
    name = f"conv_transpose{dims}d" if transposed else f"conv{dims}d"
    return gradients(lambda *tensors: getattr(F, name)(*tensors, **options))


def _case(draw: Inputs, name: str, operand: Sequence[int], weight: Sequence[int], **options: Any) -> Case:
    dims, groups, transposed = len(operand) - 2, options.get("groups", 1), options.get("transposed", False)
    outputs = weight[1] * groups if transposed else weight[0]
    tensors = [draw.floats(*operand), draw.floats(*weight), draw.floats(outputs)]
    return Case(name, _convolution(dims, **options), tensors)


def test_gradients_of_convolutions() -> None:
    draw = Inputs()
    cases = [
        _case(draw, "1d", (2, 3, 9), (4, 3, 3), padding=1),
        _case(draw, "plain", (2, 3, 7, 9), (5, 3, 3, 3), padding=1),
        _case(draw, "points", (3, 4, 5, 6), (7, 4, 1, 1)),
        _case(draw, "strided", (2, 3, 8, 9), (4, 3, 3, 2), stride=(2, 3), padding=(1, 0)),
        _case(draw, "dilated", (2, 3, 9, 8), (4, 3, 3, 3), stride=2, padding=2, dilation=(2, 1)),
        _case(draw, "grouped", (2, 6, 6, 5), (4, 3, 3, 3), padding=1, groups=2),
        _case(draw, "depthwise", (2, 4, 6, 5), (8, 1, 3, 3), padding=1, stride=2, groups=4),
        _case(draw, "3d", (2, 3, 5, 4, 6), (4, 3, 2, 3, 2), stride=2, padding=1),
    ]
    check_cases("convolution", cases)


def test_gradients_of_transposed_convolutions() -> None:
    draw = Inputs()
    cases = [
        _case(draw, "1d", (2, 3, 5), (3, 4, 3), transposed=True, stride=2),
        _case(draw, "2d", (2, 4, 4, 5), (4, 3, 3, 3), transposed=True, stride=2, padding=1, output_padding=1),
        _case(draw, "grouped", (2, 4, 4, 5), (4, 3, 3, 2), transposed=True, stride=2, groups=2, dilation=2),
        _case(draw, "wide", (1, 2, 4, 4), (2, 3, 2, 2), transposed=True, dilation=3, output_padding=2),
        _case(draw, "3d", (1, 2, 3, 3, 4), (2, 3, 2, 2, 2), transposed=True, stride=(1, 2, 2)),
    ]
    check_cases("convolution", cases)
