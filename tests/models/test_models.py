"""Whole models with random weights against eager: at a fixed and a dynamic batch, and in 16-bit floats."""

import pytest
import torch
from zoo import CASES, ModelCase
from zoo.comparison import check


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_static_batch(case: ModelCase) -> None:
    """One program for one batch size."""
    check(case, target="cpu")


@pytest.mark.parametrize("case", [case for case in CASES if case.dynamic], ids=lambda case: case.name)
def test_dynamic_batch(case: ModelCase) -> None:
    """One program for many batch sizes."""
    check(case, target="cpu", batches=(2, 1, 3), dynamic=True)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=str)
@pytest.mark.parametrize("case", [case for case in CASES if case.half], ids=lambda case: case.name)
def test_half_precision(case: ModelCase, dtype: torch.dtype) -> None:
    """The small models in 16-bit floats."""
    check(case, target="cpu", dtype=dtype)
