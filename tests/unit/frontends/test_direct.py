"""Programs that are imported as they were exported, and those that need torch's decompositions first."""

from typing import Any

import pytest
import torch
from torch import nn

import stepwell as sw
from stepwell.frontends.torch import from_exported_program
from stepwell.frontends.torch import program as import_module
from stepwell.frontends.torch.direct import is_direct
from stepwell.passes.transforms.graph_dce import GraphDcePass
from stepwell.support.module import Module


class Network(nn.Module):
    """The composites that need no decomposition while nothing is trained."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.ConvTranspose2d(4, 2, 2), nn.Dropout(0.5), nn.Flatten()
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.body(x).to(torch.float64)


def exported(model: nn.Module, *inputs: torch.Tensor) -> Any:
    """Export."""
    return torch.export.export(model, inputs)


def without_dead_ops(module: Module) -> Module:
    """Erase what decompositions compute and nobody uses."""
    GraphDcePass().apply(module.operation.regions[0].blocks[0].operations[0].operation)
    return module


def test_composites_give_what_their_decompositions_give(monkeypatch: pytest.MonkeyPatch) -> None:
    program = exported(Network().eval(), torch.ones(2, 3, 8, 8))
    assert is_direct(program)
    direct = without_dead_ops(from_exported_program(program))
    monkeypatch.setattr(import_module, "is_direct", lambda program, rules: False)
    decomposed = without_dead_ops(from_exported_program(program))
    assert direct.text() == decomposed.text()
    assert direct.signature == decomposed.signature


def test_training_needs_decomposition() -> None:
    assert not is_direct(exported(nn.BatchNorm2d(3).train(), torch.ones(2, 3, 4, 4)))
    assert not is_direct(exported(nn.Dropout(0.5).train(), torch.ones(2)))


class Changed(nn.Module):
    """Changes its own values in place, and calls composites of other kinds."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(3, 4, 3), nn.Conv2d(3, 4, 3)

    def forward(self, x: torch.Tensor) -> Any:
        y = nn.functional.relu(self.first(x), inplace=True)
        y = self.second(x).add_(y).mul_(0.5).clamp_(min=0.1)
        y = y + x[:1, :1, :1, :1].double().type_as(y).expand_as(y)
        y = y.swapaxes(2, 3).unflatten(3, (2, -1)).flatten(3)
        y = torch.neg_(z := y + 1) * z  # which is negative now
        low, high = nn.functional.pad(y, (1, 0)).chunk(2, 1)
        counts = (x > 0).sum(-1).div_(2, rounding_mode="floor").add_(1)
        return torch.where(low > 0.2, low, 1.5), torch.min(low, high), torch.max(y, y.flip(0)), counts, torch.tensor(3)


def test_changes_of_own_values_are_functional_calls(monkeypatch: pytest.MonkeyPatch) -> None:
    program, x = exported(Changed(), torch.ones(2, 3, 8, 8)), torch.randn(2, 3, 8, 8)
    assert is_direct(program)
    direct = sw.compile(program, progress=False)(x)
    assert sw.compare_with_eager(program, (x,)).first_difference is None
    monkeypatch.setattr(import_module, "is_direct", lambda program, rules: False)
    decomposed = sw.compile(program, progress=False)(x)
    for one, other, eager in zip(direct, decomposed, program.module()(x), strict=True):
        assert one.dtype == other.dtype == eager.dtype
        assert torch.equal(one, other)
        torch.testing.assert_close(one, eager)


@pytest.mark.parametrize(
    "function",
    [
        lambda x: x.add_(1),
        lambda x: x.view(-1).relu_(),
        lambda x: (x + 1)[0].relu_(),
        lambda x: nn.functional.dropout(x, training=False).add_(1),
        lambda x: [y := x + 1, y.view(-1), y.add_(1)][1],
    ],
)
def test_changes_that_others_see_need_decomposition(function: Any) -> None:
    class InPlace(nn.Module):
        def forward(self, x: torch.Tensor) -> Any:
            return function(x)

    program, x = exported(InPlace(), torch.ones(2, 3)), torch.randn(2, 3)
    assert not is_direct(program)
    torch.testing.assert_close(sw.compile(program, progress=False)(x.clone()), function(x.clone()))


def test_blocks_need_decomposition() -> None:
    class Block(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            with torch.no_grad():
                y = x + 1
            return y * x

    program = exported(Block(), torch.ones(2))
    assert not is_direct(program)
    assert "graph.mul" in from_exported_program(program).text()


def test_unknown_composites_need_decomposition() -> None:
    class Padded(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(1, 1, 3, padding="same")

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.conv(x)

    program = exported(Padded().eval(), torch.ones(1, 1, 5, 5))
    assert not is_direct(program)
    assert "graph.convolution" in from_exported_program(program).text()
