"""Cross entropy of a linear layer's results, in the ops that torch leaves whole."""

from typing import Any

import torch
import torch.nn.modules.linear_cross_entropy  # registers the ops
from harness import Case, Inputs, check_cases


def test_chunked_losses() -> None:
    draw = Inputs()
    x, table, bias = draw.floats(6, 4), draw.floats(5, 4), draw.floats(5)
    target, weight = torch.tensor([0, 1, 4, 2, -100, 3]), draw.floats(5, low=0.1)
    tensors = [x, table, target, bias, weight]
    cases = [Case(reduction, _loss(reduction), tensors) for reduction in ("mean", "sum")]
    check_cases("normalization", [*cases, Case("rows", _rows, tensors)])


def _loss(reduction: str) -> Any:
    op = torch.ops.torch_nn._linear_cross_entropy_batch_chunked
    return lambda x, table, target, bias, weight: op(
        x, table, target, bias, weight, reduction, -100, 0.0, 2, "balanced", x.dtype, True, True, True, True
    )


def _rows(x: Any, table: Any, target: Any, bias: Any, weight: Any) -> Any:
    op = torch.ops.torch_nn._linear_cross_entropy_batch_chunked_no_reduction
    return op(x, table, target, bias, weight, -100, 2, "balanced", x.dtype)
