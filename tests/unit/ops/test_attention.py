"""Scaled dot-product attention, against torch."""

import torch
import torch.nn.functional as F
from harness import Case, Inputs, check_cases


def test_masks() -> None:
    draw = Inputs()
    cases = []
    for dtype in (torch.float32, torch.float16, torch.bfloat16):
        q, k, v = (draw.floats(*shape, dtype=dtype) for shape in ((2, 3, 7, 16), (2, 3, 11, 16), (2, 3, 11, 5)))
        cases += [
            Case(f"plain-{dtype}", F.scaled_dot_product_attention, [q, k, v]),
            Case(f"causal-{dtype}", lambda q, k, v: F.scaled_dot_product_attention(q, k, v, is_causal=True), [q, k, v]),
        ]
    q, k, v = draw.floats(2, 3, 7, 16), draw.floats(2, 3, 11, 16), draw.floats(2, 3, 11, 5)
    keep = draw.bools(7, 11)
    keep[0], keep[1] = False, True
    cases += [
        Case("kept", F.scaled_dot_product_attention, [q, k, v, keep]),
        Case("added", F.scaled_dot_product_attention, [q, k, v, draw.floats(2, 1, 7, 11)]),
        Case("scaled", lambda q, k, v: F.scaled_dot_product_attention(q, k, v, scale=0.3), [q, k, v]),
        Case("matrices", F.scaled_dot_product_attention, [q[0, 0], k[0, 0], v[0, 0]]),
        Case(
            "any-width",
            F.scaled_dot_product_attention,
            [q.clone(), k.clone(), v.clone()],
            {0: {3: "width>=6"}, 1: {3: "width>=6"}},
            [q[..., :6], k[..., :6], v],
        ),
        Case("one", F.scaled_dot_product_attention, [q[:, :, :1], k[:, :, :1], v[:, :, :1]]),
    ]
    check_cases("attention", cases)


def test_grouped_queries() -> None:
    draw = Inputs()
    q, k, v = draw.floats(2, 8, 5, 16), draw.floats(2, 2, 6, 16), draw.floats(2, 2, 6, 4)

    def grouped(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, mask: torch.Tensor | None = None) -> torch.Tensor:
        return F.scaled_dot_product_attention(q, k, v, mask, enable_gqa=True)

    cases = [
        Case("grouped", grouped, [q, k, v]),
        Case("grouped-mask", grouped, [q, k, v, draw.bools(2, 1, 5, 6)]),
        Case("grouped-mask-heads", grouped, [q, k, v, draw.floats(2, 8, 5, 6)]),
        Case("single", grouped, [q, k[:, :1], v[:, :1]]),
    ]
    check_cases("attention", cases)


def test_dynamic_sizes() -> None:
    draw = Inputs()
    shapes = (2, 3, 7, 16), (2, 3, 7, 16), (2, 3, 7, 16)
    others = (4, 3, 12, 16), (4, 3, 12, 16), (4, 3, 12, 16)
    case = Case(
        "batch-and-length",
        lambda q, k, v: F.scaled_dot_product_attention(q, k, v, is_causal=True),
        [draw.floats(*shape) for shape in shapes],
        {i: {0: "n>=2", 2: "l>=2"} for i in range(3)},
        [draw.floats(*shape) for shape in others],
    )
    check_cases("attention", [case])
