"""pack-constants: what programs with packed weights compute, and where the packing happens."""

import random

import pytest
import torch
from torch import nn

import stepwell as sw


class Layers(nn.Module):
    """Products with weights as [N, K] and as [K, N], of sizes that panels do not divide."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(37, 53)
        self.second = nn.Parameter(torch.randn(53, 70))
        self.narrow = nn.Linear(70, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.narrow(torch.relu(self.first(x)) @ self.second)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=["f32", "bf16"])
def test_packed_weights_give_the_same_results(dtype: torch.dtype) -> None:
    seed = random.randrange(1 << 32)
    print("seed", seed)
    torch.manual_seed(seed)
    model = Layers().eval().to(dtype)
    rows = torch.export.Dim("rows", min=1, max=64)
    exported = torch.export.export(model, (torch.randn(20, 37, dtype=dtype),), dynamic_shapes=({0: rows},))
    executable = sw.compile(exported, progress=False)
    wide = Layers().eval().double()
    wide.load_state_dict(model.state_dict())
    for count in (1, 6, 13, 64):
        x = torch.randn(count, 37, dtype=dtype)
        with torch.no_grad():
            expected, eager = wide(x.double()), model(x)
        allowed = 4 * (eager.double() - expected).abs().max() + 16 * torch.finfo(dtype).eps * expected.abs().max()
        assert (executable(x).double() - expected).abs().max() <= allowed


def test_packing_goes_to_prepare() -> None:
    exported = torch.export.export(Layers().eval(), (torch.randn(20, 37),))
    text = str(sw.lower(exported, to="kernels", target="cpu:x86-64-v3"))
    assert "@prepare" in text
    assert "floordiv 16" in text


def test_few_rows_are_left_alone() -> None:
    exported = torch.export.export(Layers().eval(), (torch.randn(2, 37),))
    assert "floordiv" not in str(sw.lower(exported, to="kernels"))
