"""One compiled program for a range of batch sizes, lengths and image sizes, on the CPU and on a simulated GPU."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch.export import Dim

import stepwell as sw
from stepwell.support.errors import ArgumentError


class Block(torch.nn.Module):
    """A transformer block with a mask of padding, and what follows it for classification."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = torch.nn.Embedding(50, 16)
        self.norms = torch.nn.ModuleList([torch.nn.LayerNorm(16), torch.nn.LayerNorm(16)])
        self.projections = torch.nn.Linear(16, 48)
        self.out = torch.nn.Linear(16, 16)
        self.up, self.down = torch.nn.Linear(16, 32), torch.nn.Linear(32, 16)

    def forward(self, tokens: torch.Tensor, batch: dict[str, list[torch.Tensor]]) -> tuple[torch.Tensor, torch.Tensor]:
        mask = batch["mask"][0]
        count, length = tokens.shape
        x = self.embedding(tokens) + torch.arange(length, device=tokens.device)[:, None] / 10
        heads = self.projections(self.norms[0](x)).view(count, length, 3, 2, 8).permute(2, 0, 3, 1, 4)
        attended = F.scaled_dot_product_attention(heads[0], heads[1], heads[2], mask[:, None, None, :])
        x = x + self.out(attended.transpose(1, 2).reshape(count, length, 16))
        x = x + self.down(F.gelu(self.up(self.norms[1](x))))
        return x, (x * mask[..., None]).sum(1) / mask.sum(1, keepdim=True)


class Network(torch.nn.Module):
    """Convolutions, pooling, and an upsampling that meets a skip connection."""

    def __init__(self) -> None:
        super().__init__()
        self.first = torch.nn.Conv2d(3, 8, 3, padding=1)
        self.second = torch.nn.Conv2d(8, 8, 3, stride=2, padding=1)
        self.norm = torch.nn.BatchNorm2d(8)
        self.last = torch.nn.Linear(8, 4)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        wide = F.relu(self.norm(self.first(x)))
        narrow = F.relu(self.second(F.max_pool2d(wide, 2)))
        back = F.interpolate(narrow, size=wide.shape[2:], mode="bilinear")
        return torch.cat([wide, back], 1), self.last(F.adaptive_avg_pool2d(narrow, 1).flatten(1))


def block_arguments(count: int, length: int) -> tuple[torch.Tensor, dict[str, list[torch.Tensor]]]:
    """Return tokens and their mask; each row keeps its first token."""
    mask = torch.rand(count, length) < 0.7
    mask[:, :1] = True
    return torch.randint(0, 50, (count, length)), {"mask": [mask]}


@pytest.fixture(autouse=True)
def seed(rng: np.random.Generator) -> None:
    """Draw all numbers of a test from its own seed."""
    torch.manual_seed(int(rng.integers(1 << 31)))


def exported_block(module: Block) -> Any:
    """Export with names for both sizes."""
    dims = {0: Dim("batch", max=64), 1: Dim("length", max=512)}
    return torch.export.export(module, block_arguments(3, 6), dynamic_shapes=(dims, {"mask": [dims]}))


def check(executable: sw.Executable, module: torch.nn.Module, arguments: Any) -> None:
    """Compare a call with eager."""
    for got, want in zip(executable(*arguments), module(*arguments), strict=True):
        torch.testing.assert_close(got, want.detach(), rtol=2e-4, atol=2e-5)


def test_a_transformer_block(tmp_path: Path) -> None:
    module = Block().eval()
    sw.compile(exported_block(module), progress=False).save(tmp_path / "block.swx")
    executable = sw.load(tmp_path / "block.swx")
    for count, length in ((1, 1), (1, 17), (2, 64), (7, 5), (33, 3), (1, 200)):
        check(executable, module, block_arguments(count, length))
    tokens, batch = block_arguments(2, 5)
    with pytest.raises(ArgumentError, match=r"argument 'batch\['mask'\]\[0\]' must have size length = 5"):
        executable(tokens, {"mask": [batch["mask"][0][:, :4]]})
    with pytest.raises(ArgumentError, match=r"tokens.size\(0\) must be at most 64, got 65"):
        executable(*block_arguments(65, 1))


def test_a_transformer_block_on_a_gpu() -> None:
    module = Block().eval()
    executable = sw.compile(exported_block(module), target="cuda:sm_90a", device="sim", progress=False)
    for count, length in ((1, 1), (3, 18), (2, 67)):
        check(executable, module, block_arguments(count, length))


def test_a_network_of_convolutions() -> None:
    """Sizes without names: torch assumes two or more of each, and the program is as good for a batch of one."""
    module = Network().eval()
    dims = {0: Dim.DYNAMIC, 2: Dim.DYNAMIC, 3: Dim.DYNAMIC}
    exported = torch.export.export(module, (torch.randn(2, 3, 12, 20),), dynamic_shapes=(dims,))
    executable = sw.compile(exported, progress=False)
    for shape in ((1, 3, 8, 8), (5, 3, 33, 17), (2, 3, 7, 64), (1, 3, 31, 2), (0, 3, 9, 9)):
        check(executable, module, (torch.randn(shape),))
    for shape in ((2, 3, 12, 20), (3, 3, 9, 11)):
        check(executable, module, (torch.randn(shape).to(memory_format=torch.channels_last),))


class Derived(torch.nn.Module):
    """Sizes that follow from each other."""

    def forward(self, x: torch.Tensor, y: torch.Tensor, z: torch.Tensor) -> Any:
        # x has s, y has 2*s + 1, z has 8*b elements.
        blocks = z.view(-1, 8).sum(1)
        return torch.cat([x, x, y[:1]]) + y, blocks, y[1::2] * x, x.shape[0] + blocks.shape[0]


def test_derived_sizes_and_divisors() -> None:
    s, b = Dim("s", min=1, max=100), Dim("b", min=2)
    arguments = (torch.randn(4), torch.randn(9), torch.randn(24))
    exported = torch.export.export(Derived(), arguments, dynamic_shapes=({0: s}, {0: 2 * s + 1}, {0: 8 * b}))
    executable = sw.compile(exported, progress=False)
    for first, second in ((1, 2), (4, 3), (7, 10), (100, 2)):
        given = (torch.randn(first), torch.randn(2 * first + 1), torch.randn(8 * second))
        for got, want in zip(executable(*given), Derived()(*given), strict=True):
            if isinstance(want, torch.Tensor):
                torch.testing.assert_close(got, want)
            else:
                assert got == want
    wrong = {
        r"argument 'y' must have size 2\*s \+ 1 = 7 \(s = 3 from x.size\(0\)\) in dimension 0, got 6": (3, 6, 16),
        r"z.size\(0\) must be a multiple of 8, got 20": (3, 7, 20),
        r"x.size\(0\) must be at most 100, got 101": (101, 203, 16),
        r"x.size\(0\) must be at least 1, got 0": (0, 1, 16),
    }
    for message, sizes in wrong.items():
        with pytest.raises(ArgumentError, match=message):
            executable(*map(torch.randn, sizes))


class Squeezed(torch.nn.Module):
    """Means something else where a size is 1."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.squeeze(0) * 2


def test_sizes_that_change_the_meaning_are_refused() -> None:
    exported = torch.export.export(Squeezed(), (torch.ones(3, 4),), dynamic_shapes=({0: Dim.DYNAMIC, 1: Dim.DYNAMIC},))
    executable = sw.compile(exported, progress=False)
    assert torch.equal(executable(torch.ones(2, 1)), torch.full((2, 1), 2.0))
    with pytest.raises(ArgumentError, match=r"x.size\(0\) must be at least 2, got 1"):
        executable(torch.ones(1, 4))


class Attention(torch.nn.Module):
    """Sizes that torch does not compare."""

    def forward(self, q: torch.Tensor, *others: torch.Tensor) -> torch.Tensor:
        return F.scaled_dot_product_attention(q, *others)


def test_sizes_that_torch_does_not_compare() -> None:
    dims = tuple({2: Dim.DYNAMIC} for _ in range(3))
    tensors = (torch.randn(1, 2, 4, 8), torch.randn(1, 2, 6, 8), torch.randn(1, 2, 6, 8))
    exported = torch.export.export(Attention(), tensors, dynamic_shapes=(dims[0], dims[1:]))
    executable = sw.compile(exported, progress=False)
    q, k, v = (torch.randn(1, 2, size, 8) for size in (3, 5, 5))
    torch.testing.assert_close(executable(q, k, v), F.scaled_dot_product_attention(q, k, v))
    with pytest.raises(ArgumentError, match=r"others_0.size\(2\) - others_1.size\(2\) must be 0, got 1"):
        executable(q, k, v[:, :, 1:])
