"""Whole models live in examples/zoo, which tests and benchmarks share."""

import sys
from pathlib import Path

import pytest
import torch

sys.path.insert(0, str(Path(__file__).parents[2] / "examples"))
torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def seed() -> None:
    """Seed torch anew for each test."""
    torch.seed()
