"""Small programs that between them use every kind of GPU kernel, with inputs of a size that a simulator can run."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F

Tensors = tuple[torch.Tensor, ...]


@dataclass(frozen=True)
class Case:
    """A function of tensors.

    Attributes:
        name: for the command line.
        function: what to compile.
        inputs: makes its arguments; the scale is 1 for a simulator, more on a GPU.
        factor: k of the tolerance k eps max|y|, beside four times eager's own error.
    """

    name: str
    function: Callable[..., Any]
    inputs: Callable[[int], Tensors]
    factor: float = 16


def _normal(*shape: int, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    return torch.randn(shape).to(dtype)


def _attention(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
    return F.scaled_dot_product_attention(q, k, v, is_causal=True)


def _gather(table: torch.Tensor, index: torch.Tensor) -> torch.Tensor:
    return table[index].sum(1)


def _cat(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    return torch.cat([x.transpose(0, 1), y], 1).flip(0)


HALF, BRAIN = torch.float16, torch.bfloat16

CASES = (
    Case("pointwise", lambda x, y: torch.sigmoid(x) * y + 1, lambda s: (_normal(7, 33 * s), _normal(33 * s))),
    Case("wide", lambda x: F.gelu(x) * 2, lambda s: (_normal(s, 512),)),
    Case(
        "half", lambda x, y: (x * y).exp(), lambda s: (_normal(5, 40 * s, dtype=HALF), _normal(5, 40 * s, dtype=HALF))
    ),
    Case("integers", lambda x: (x * 3 + 1) // 2 % 7, lambda s: (torch.randint(-99, 99, (50 * s,)),)),
    Case("rows", lambda x: x.sum(-1), lambda s: (_normal(9, 100 * s),)),
    Case("columns", lambda x: x.mean(0), lambda s: (_normal(65 * s, 20),)),
    Case("whole", lambda x: x.square().sum(), lambda s: (_normal(40 * s, 50),)),
    Case("softmax", lambda x: torch.softmax(x, -1), lambda s: (_normal(6, 130 * s),)),
    Case("layer_norm", lambda x: F.layer_norm(x, x.shape[-1:]), lambda s: (_normal(6, 96 * s),)),
    Case("transpose", lambda x: x.transpose(1, 2).contiguous(), lambda s: (_normal(2, 33, 45 * s),)),
    Case("cat", _cat, lambda s: (_normal(6 * s, 5), _normal(5, 4))),
    Case("gather", _gather, lambda s: (_normal(13, 20), torch.randint(0, 13, (4 * s, 3)))),
    Case("pool", lambda x: F.max_pool2d(x, 3, 2, 1), lambda s: (_normal(1, 3, 11, 13 * s),)),
    Case("cumsum", lambda x: x.cumsum(1), lambda s: (_normal(5, 20 * s),)),
    Case("sort", lambda x: torch.sort(x, -1).values, lambda s: (_normal(3, 17),)),
    Case("product", lambda a, b: torch.relu(a @ b), lambda s: (_normal(33 * s, 40), _normal(40, 21 * s))),
    Case("batched", torch.bmm, lambda s: (_normal(3, 17, 24), _normal(3, 24, 9 * s))),
    Case("product_half", torch.matmul, lambda s: (_normal(64 * s, 64, dtype=HALF), _normal(64, 72 * s, dtype=HALF)), 4),
    Case(
        "product_brain",
        torch.matmul,
        lambda s: (_normal(128, 64 * s, dtype=BRAIN), _normal(64 * s, 128, dtype=BRAIN)),
        4,
    ),
    Case(
        "convolution",
        lambda x, w: F.conv2d(x, w, padding=1, stride=2),
        lambda s: (_normal(1, 3, 14 * s, 14 * s), _normal(8, 3, 3, 3)),
    ),
    Case("attention", _attention, lambda s: tuple(_normal(1, 2, 20 * s, 32, dtype=HALF) for _ in range(3)), 8),
)
