"""Tensors with a dimension of size zero beside symbolic sizes: nothing to compute, or what torch makes of nothing."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from harness import Case, check_cases

# Shapes, which of their dimensions are symbolic, and other sizes for those.
LAYOUTS = (
    ((0, 5, 5), {1: "n", 2: "n"}, (0, 7, 7)),
    ((4, 0, 6), {0: "n", 2: "m"}, (3, 0, 9)),
    ((5, 4, 0), {0: "n", 1: "m"}, (2, 7, 0)),
    ((5, 0, 0), {0: "n"}, (8, 0, 0)),
)
FUNCTIONS: dict[str, Callable[[torch.Tensor], Any]] = {
    "casts": lambda x: (x.to(torch.float64), x * 2 + x, torch.where(x > 0, x, 0), x.unsqueeze(0).expand(3, -1, -1, -1)),
    "sums": lambda x: (x.sum(), x.sum(1), x.sum((0, 2)), x.any(), x.cumsum(1), x.var(1)),
    "rows": lambda x: (x.softmax(-1), x.softmax(0), x.sort(-1)[0], F.layer_norm(x, x.shape[-1:])),
    "products": lambda x: (x @ x.transpose(1, 2), x.transpose(1, 2) @ x, x.permute(1, 2, 0) @ x.permute(1, 0, 2)),
    "places": lambda x: (x.flip(1), x[:, :1], torch.cat([x, x], 1), F.pad(x, (1, 1)), x.nonzero()),
    "indices": lambda x: (x.gather(2, torch.zeros_like(x).long()), torch.zeros_like(x).scatter_add(1, x.long(), x)),
    "attention": lambda x: F.scaled_dot_product_attention(x[None], x[None], x[None]),
}


@pytest.mark.filterwarnings("ignore:var")
@pytest.mark.parametrize("name", FUNCTIONS)
def test_nothing_beside_symbolic_sizes(name: str) -> None:
    cases = [
        Case(str(shape), FUNCTIONS[name], [torch.ones(shape)], {0: dims}, [torch.ones(others)])
        for shape, dims, others in LAYOUTS
    ]
    check_cases("normalization", cases)
