"""Matrix products against torch, which calls cuBLAS, and attention against torch's fused one."""

from collections.abc import Iterator
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

import stepwell as sw
from benchmarks.gpu.timing import Stopwatch, ratios

# (batch, rows, columns, depth); batch 0 for a plain matrix
SHAPES = (
    *((0, n, n, n) for n in (512, 1024, 2048, 4096, 8192)),
    (0, 16, 4096, 4096),
    (0, 8192, 128, 8192),
    (0, 4095, 4097, 1000),
    (64, 512, 512, 64),
)
# (batch, heads, heads of keys, queries, keys, width, causal)
ATTENTIONS = (
    (4, 16, 16, 2048, 2048, 64, True),
    (4, 16, 16, 2048, 2048, 128, False),
    (1, 32, 8, 8192, 8192, 128, True),
    (16, 16, 16, 512, 512, 64, False),
)


class _Product(nn.Module):
    def forward(self, a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        return a @ b


class _Attention(nn.Module):
    def __init__(self, causal: bool, grouped: bool) -> None:
        super().__init__()
        self.causal, self.grouped = causal, grouped

    def forward(self, q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
        return F.scaled_dot_product_attention(q, k, v, is_causal=self.causal, enable_gqa=self.grouped)


def _row(watch: Stopwatch, module: nn.Module, inputs: tuple[torch.Tensor, ...], flops: float) -> dict[str, Any]:
    example = tuple(x.cpu() for x in inputs)
    executable = sw.compile(module, example_inputs=example, target="cuda", device="cuda")
    figures = watch.interleaved({"stepwell": lambda: executable(*inputs), "eager": lambda: module(*inputs)})
    speed = flops / (1e-6 * figures["stepwell"]["median_us"])
    return {"tflops": 1e-12 * speed, "ratios": ratios(figures), **figures}


def measure_products(watch: Stopwatch) -> Iterator[dict[str, Any]]:
    """Yield one row per shape and type; float32 without TF32 on both sides."""
    torch.backends.cuda.matmul.allow_tf32 = False
    for batch, rows, columns, depth in SHAPES:
        for dtype in (torch.bfloat16, torch.float16, torch.float32):
            lead = (batch,) if batch else ()
            a = torch.randn(*lead, rows, depth, device="cuda").to(dtype)
            b = torch.randn(*lead, depth, columns, device="cuda").to(dtype)
            flops = 2.0 * max(batch, 1) * rows * columns * depth
            shape = [batch, rows, columns, depth]
            name = str(dtype).removeprefix("torch.")
            yield {"product": shape, "dtype": name, **_row(watch, _Product(), (a, b), flops)}


def measure_attention(watch: Stopwatch) -> Iterator[dict[str, Any]]:
    """Yield one row per attention, in bfloat16."""
    for batch, heads, groups, queries, keys, width, causal in ATTENTIONS:
        q = torch.randn(batch, heads, queries, width, device="cuda", dtype=torch.bfloat16)
        k, v = (torch.randn(batch, groups, keys, width, device="cuda", dtype=torch.bfloat16) for _ in range(2))
        flops = 4.0 * batch * heads * queries * keys * width * (0.5 if causal else 1.0)
        shape = [batch, heads, groups, queries, keys, width, causal]
        yield {"attention": shape, **_row(watch, _Attention(causal, heads != groups), (q, k, v), flops)}
