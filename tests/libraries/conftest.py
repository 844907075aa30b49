"""The architectures live beside the tests; each test has a seed of its own."""

import sys
from pathlib import Path

import pytest
import torch

sys.path.insert(0, str(Path(__file__).parent))
torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def seed() -> None:
    """Seed torch anew for each test."""
    torch.seed()
