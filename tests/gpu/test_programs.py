"""Each kind of kernel against eager: with tensors of the host, and, on a GPU, also in place and as a graph."""

from typing import Any

import pytest
import torch
from gpu_cases import CASES, Case

import stepwell as sw

# Larger sizes where they cost nothing.
GPU_SCALE = 5


class Wrapper(torch.nn.Module):
    """A function as a module, which is what can be exported."""

    def __init__(self, function: Any) -> None:
        super().__init__()
        self.function = function

    def forward(self, *inputs: torch.Tensor) -> Any:
        return self.function(*inputs)


def assert_close(got: torch.Tensor, eager: torch.Tensor, exact: torch.Tensor, factor: float) -> None:
    """Compare with eager's own error against float64: max|y - y64| <= 4 max|eager - y64| + k eps max|y64|."""
    assert (got.dtype, got.shape) == (eager.dtype, eager.shape)
    if not got.is_floating_point():
        assert torch.equal(got, eager)
        return
    error = (got.double() - exact).abs().max().item()
    allowed = 4 * (eager.double() - exact).abs().max().item()
    allowed += factor * torch.finfo(got.dtype).eps * exact.abs().max().item()
    assert error <= allowed


@torch.no_grad()
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_program(case: Case, device: str, target: str) -> None:
    inputs = case.inputs(GPU_SCALE if device.startswith("cuda") else 1)
    exe = sw.compile(torch.export.export(Wrapper(case.function), inputs), target=target, device=device)
    eager = case.function(*inputs)
    wide = tuple(value.double() if value.is_floating_point() else value for value in inputs)
    exact = case.function(*wide).double()
    assert_close(exe(*inputs), eager, exact, case.factor)
    if device.startswith("cuda") and torch.cuda.is_available():
        on_gpu = tuple(value.cuda() for value in inputs)
        got = exe(*on_gpu)
        assert got.is_cuda
        assert_close(got.cpu(), eager, exact, case.factor)
        graph = exe.cuda_graph(*on_gpu)
        assert torch.equal(graph(*on_gpu), got)
