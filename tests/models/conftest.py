"""Whole models live in examples/zoo, which tests and benchmarks share."""

import sys
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).parents[2] / "examples"))
torch.set_num_threads(1)
