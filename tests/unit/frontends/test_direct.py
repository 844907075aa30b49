"""Programs that are imported as they were exported, and those that need torch's decompositions first."""

from typing import Any

import pytest
import torch
from torch import nn

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


def test_changes_in_place_need_decomposition() -> None:
    class InPlace(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.relu_(x + 1)

    assert not is_direct(exported(InPlace(), torch.ones(2)))


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
