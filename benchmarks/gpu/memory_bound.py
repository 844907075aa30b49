"""Kernels that memory bounds, as a fraction of a measured copy on the device."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

import stepwell as sw
from benchmarks.gpu.timing import Stopwatch, copy_bandwidth, ratios

_ROW = 4096


@dataclass(frozen=True)
class Operation:
    """An operation on one tensor of rows.

    Attributes:
        name: in the table.
        function: what is computed.
        traffic: bytes that must move, per byte of the input.
    """

    name: str
    function: Callable[[torch.Tensor], torch.Tensor]
    traffic: float


OPERATIONS = (
    Operation("pointwise", lambda x: F.gelu(x * 1.5 + 0.25, approximate="tanh"), 2.0),
    Operation("row sum", lambda x: x.sum(-1), 1.0),
    Operation("column sum", lambda x: x.sum(0), 1.0),
    Operation("softmax", lambda x: F.softmax(x, -1), 2.0),
    Operation("layer norm", lambda x: F.layer_norm(x, (x.shape[-1],)), 2.0),
    Operation("RMS norm", lambda x: F.rms_norm(x, (x.shape[-1],)), 2.0),
    Operation("transpose", lambda x: x.t().contiguous(), 2.0),
)


class _Module(nn.Module):
    def __init__(self, function: Callable[[torch.Tensor], torch.Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.function(x)


def measure(watch: Stopwatch, sizes: list[int]) -> Iterator[dict[str, Any]]:
    """Yield one row per operation, type and size of the input in bytes."""
    for nbytes in sizes:
        bandwidth = copy_bandwidth(nbytes, watch)
        for dtype in (torch.float32, torch.bfloat16):
            rows = max(nbytes // (_ROW * dtype.itemsize), 1)
            x = torch.randn(rows, _ROW, device="cuda").to(dtype)
            for operation in OPERATIONS:
                module = _Module(operation.function)
                executable = sw.compile(module, example_inputs=(x.cpu(),), target="cuda", device="cuda")
                contenders = {
                    "stepwell": lambda run=executable, x=x: run(x),
                    "eager": lambda run=module, x=x: run(x),
                }
                figures = watch.interleaved(contenders)
                moved = operation.traffic * x.numel() * dtype.itemsize
                yield {
                    "operation": operation.name,
                    "dtype": str(dtype).removeprefix("torch."),
                    "bytes": nbytes,
                    "copy_gb_per_s": 1e-9 * bandwidth,
                    "fraction_of_copy": moved / (1e-6 * figures["stepwell"]["median_us"]) / bandwidth,
                    "ratios": ratios(figures),
                    **figures,
                }
