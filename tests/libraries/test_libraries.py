"""Architectures of public libraries against eager: at fixed and at open sizes, some of them in bfloat16."""

import pytest
import torch
from architectures.architecture import Architecture
from architectures.chosen import HALF, chosen
from architectures.examination import RIGHT, examine

_ALL = chosen()


def _check(architecture: Architecture, *, dynamic: bool = False, dtype: torch.dtype = torch.float32) -> None:
    seed = torch.initial_seed() % 2**31
    print(f"seed {seed}")
    verdict = examine(architecture, dynamic=dynamic, dtype=dtype, seed=seed)
    assert verdict.kind == RIGHT, f"{verdict.kind}: {verdict.reason}"


@pytest.mark.parametrize("architecture", _ALL, ids=lambda each: each.label)
def test_fixed_sizes(architecture: Architecture) -> None:
    """One program for one size."""
    _check(architecture)


@pytest.mark.parametrize("architecture", _ALL, ids=lambda each: each.label)
def test_open_sizes(architecture: Architecture) -> None:
    """One program for several batches, and lengths where the model has them."""
    _check(architecture, dynamic=True)


@pytest.mark.parametrize("architecture", [each for each in _ALL if each.name in HALF], ids=lambda each: each.label)
def test_bfloat16(architecture: Architecture) -> None:
    """One program for one size, computed in 16 bits."""
    _check(architecture, dtype=torch.bfloat16)
