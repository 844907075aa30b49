"""Softmax and normalisations, against torch."""

import torch
import torch.nn.functional as F
from harness import Case, Inputs, check_cases
from hypothesis import given, settings
from hypothesis import strategies as st

FLOATS = (torch.float32, torch.float16, torch.bfloat16, torch.float64)


def test_softmax() -> None:
    draw = Inputs()
    cases = []
    for dtype in FLOATS:
        x = draw.floats(3, 37, 5, dtype=dtype, low=-8, high=8)
        cases.append(Case(f"softmax-{dtype}", lambda x: tuple(x.softmax(dim) for dim in range(3)), [x]))
        cases.append(Case(f"logarithm-{dtype}", lambda x: tuple(x.log_softmax(dim) for dim in (0, 1, -1)), [x]))
    x = draw.floats(4, 19)
    x[0] = -torch.inf
    x[1, 3], x[2, 5], x[3, 6] = torch.inf, -torch.inf, torch.nan
    cases += [
        Case("special", lambda x: (x.softmax(1), x.log_softmax(1)), [x]),
        Case("safe", lambda x: torch.ops.aten._safe_softmax(x, 1), [x]),
        Case("far-apart", lambda x: (x.softmax(1), x.log_softmax(1)), [draw.floats(3, 9, low=-1e4, high=1e4)]),
        Case("widened", lambda x: x.softmax(1, dtype=torch.float32), [draw.floats(3, 9, dtype=torch.float16)]),
        Case("scalar", lambda x: (x.softmax(0), x.log_softmax(0)), [draw.floats()]),
        Case("one", lambda x: (x.softmax(1), x.log_softmax(0)), [draw.floats(1, 1)]),
        Case("empty", lambda x: (x.softmax(1), x.log_softmax(0)), [draw.floats(0, 3)]),
    ]
    check_cases("normalization", cases)


def test_rows() -> None:
    draw = Inputs()
    cases = []
    for dtype in FLOATS:
        x, w, b = (draw.floats(*shape, dtype=dtype) for shape in ((5, 3, 41), (41,), (41,)))
        cases.append(Case(f"layer-{dtype}", lambda x, w, b: F.layer_norm(x, (41,), w, b), [x, w, b]))
        cases.append(Case(f"rms-{dtype}", lambda x, w: F.rms_norm(x, (41,), w, 1e-6), [x, w]))
    x = draw.floats(5, 3, 41)
    cases += [
        Case("plain", lambda x: (F.layer_norm(x, (41,)), F.rms_norm(x, (41,))), [x]),
        Case("two-dims", lambda x, w: F.layer_norm(x, (3, 41), w), [x, draw.floats(3, 41)]),
        Case("statistics", lambda x: torch.native_layer_norm(x, (41,), None, None, 1e-5), [x]),
        Case("constant-row", lambda x: F.layer_norm(x * 0 + 7, (41,)), [x]),
        Case("empty", lambda x: F.layer_norm(x, (4,)), [draw.floats(0, 4)]),
        Case("wide", lambda x: F.layer_norm(x, (2051,)), [draw.floats(3, 2051)]),
    ]
    check_cases("normalization", cases)


def test_channels() -> None:
    draw = Inputs()
    x, w, b = draw.floats(3, 8, 5, 7), draw.floats(8), draw.floats(8)
    mean, variance = draw.floats(8), draw.floats(8, low=0.1, high=2)
    cases = [
        Case("group", lambda x, w, b: F.group_norm(x, 4, w, b), [x, w, b]),
        Case("group-plain", lambda x: (F.group_norm(x, 1), F.group_norm(x, 8)), [x]),
        Case("group-vector", lambda x, w: F.group_norm(x, 2, w), [draw.floats(3, 8), w]),
        Case("group-half", lambda x: F.group_norm(x, 2), [x.half()]),
        Case("instance", lambda x, w, b: F.instance_norm(x, weight=w, bias=b), [x, w, b]),
        Case("batch", lambda x, m, v, w, b: F.batch_norm(x, m, v, w, b), [x, mean, variance, w, b]),
        Case("batch-plain", lambda x, m, v: F.batch_norm(x, m, v), [x, mean, variance]),
        Case("batch-vector", lambda x, m, v: F.batch_norm(x[:, :, 0, 0], m, v), [x, mean, variance]),
        Case("batch-half", lambda x, m, v: F.batch_norm(x, m, v), [x.half(), mean.half(), variance.half()]),
    ]
    check_cases("normalization", cases)


def test_dynamic_sizes() -> None:
    draw = Inputs()
    cases = [
        Case(
            "softmax",
            lambda x: (x.softmax(1), x.log_softmax(0)),
            [draw.floats(5, 9)],
            {0: {0: "n", 1: "m>=2"}},
            [draw.floats(4, 31)],
        ),
        Case("layer", lambda x: F.layer_norm(x, (12,)), [draw.floats(5, 12)], {0: {0: "n"}}, [draw.floats(9, 12)]),
    ]
    check_cases("normalization", cases)


@settings(max_examples=4, deadline=None)
@given(st.lists(st.integers(1, 19), min_size=1, max_size=4), st.data())
def test_drawn_shapes(shape: list[int], data: st.DataObject) -> None:
    dim = data.draw(st.integers(0, len(shape) - 1))
    x = Inputs().floats(*shape)
    check_cases(
        "normalization",
        [Case(f"{shape}-{dim}", lambda x: (x.softmax(dim), F.layer_norm(x, shape[dim:]), x.logsumexp(dim)), [x])],
    )
