"""Compiled programs on the road to a GPU: through the driver's functions, with the simulator behind them.

What reaches the kernels is what a real driver would hand them: packed parameters, tensor maps, shared memory, clusters.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from simulated_driver import SimulatedDriver
from torch._higher_order_ops.scan import scan
from torch._higher_order_ops.while_loop import while_loop

import stepwell as sw
from stepwell.runtime.driver import gpu, library


@pytest.fixture
def simulated(monkeypatch: pytest.MonkeyPatch) -> Iterator[SimulatedDriver]:
    # Its driver reads PTX 8.7, and no machine code of CUDA 13: kernels come as PTX.
    made = SimulatedDriver(dict(library._SIGNATURES), version=12080)
    monkeypatch.setattr(library, "_library", lambda: made.find)
    monkeypatch.setattr(gpu, "_gpus", {})
    library.open_driver.cache_clear()
    yield made
    library.open_driver.cache_clear()
    assert made.wrong == []


class Block(torch.nn.Module):
    """Products, rows, a table, and a buffer that changes."""

    def __init__(self) -> None:
        super().__init__()
        self.table = torch.nn.Embedding(11, 24)
        self.first, self.second = torch.nn.Linear(24, 40), torch.nn.Linear(40, 24)
        self.norm = torch.nn.LayerNorm(24)
        self.register_buffer("calls", torch.zeros(1))

    def forward(self, index: torch.Tensor) -> torch.Tensor:
        self.calls.add_(1)
        x = self.table(index)
        return torch.softmax(self.norm(x + self.second(torch.nn.functional.gelu(self.first(x)))), -1)


@torch.no_grad()
def test_a_block(simulated: SimulatedDriver) -> None:
    torch.manual_seed(seed := int(np.random.SeedSequence().generate_state(1)[0]))
    print(f"seed {seed}")
    model = Block().eval()
    rows = torch.export.Dim("rows", min=1, max=64)
    program = torch.export.export(model, (torch.zeros(4, dtype=torch.int64),), dynamic_shapes=({0: rows},))
    exe = sw.compile(program, target="cuda:sm_90a", device="cuda")
    for calls, size in enumerate((5, 1, 9), 1):
        index = torch.randint(0, 11, (size,))
        got = exe(index)
        torch.testing.assert_close(got, model(index), rtol=1e-5, atol=1e-6)
        assert exe.state_dict()["calls"].tolist() == [calls]
    with pytest.raises(sw.errors.RuntimeFailure, match=r"\(kernel 'k\d+', from embedding"):
        exe(torch.tensor([3, 11]))
    graph = exe.cuda_graph(index)
    other = torch.randint(0, 11, (9,))
    torch.testing.assert_close(graph(other), model(other), rtol=1e-5, atol=1e-6)
    assert simulated.contexts == []


@torch.no_grad()
def test_half_precision_products(simulated: SimulatedDriver) -> None:
    """Half-precision products of a size that every template takes."""
    model = torch.nn.Linear(128, 256, bias=False).to(torch.bfloat16).eval()
    x = torch.randn(256, 128).to(torch.bfloat16)
    exe = sw.compile(torch.export.export(model, (x,)), target="cuda:sm_90a", device="cuda")
    torch.testing.assert_close(exe(x).float(), model(x).float(), rtol=2e-2, atol=2e-2)
    assert len(simulated.launches) == 1


class Steps(torch.nn.Module):
    """A branch, a loop that ends by data, and one that goes along a tensor."""

    def forward(self, n: torch.Tensor, x: torch.Tensor) -> Any:
        halved = torch.cond(x.sum() > 0, lambda x: x * 0.5, lambda x: x - 1, (x,))
        i, v = while_loop(lambda i, v: i < n, lambda i, v: (i + 1, v * 2), (n * 0, halved))
        return i, scan(lambda h, row: (h + row, h * row), v[0] + 0, v)


@torch.no_grad()
def test_branches_and_loops(simulated: SimulatedDriver) -> None:
    program = torch.export.export(Steps(), (torch.tensor(2), torch.randn(3, 4)))
    exe = sw.compile(program, target="cuda:sm_90a", device="cuda")
    for n, sign in ((0, 1), (1, -1), (4, 1)):
        arguments = torch.tensor(n), sign * torch.rand(3, 4)
        (i, (h, stack)), (wanted, (last, rows)) = exe(*arguments), Steps()(*arguments)
        assert i.item() == wanted.item() == n
        torch.testing.assert_close((h, stack), (last, rows))
    with pytest.raises(sw.errors.InvalidOptionError, match="a CUDA graph cannot hold this program"):
        exe.cuda_graph(*arguments)
    assert simulated.contexts == []
