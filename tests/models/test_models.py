"""Whole models with random weights against eager: at a fixed and a dynamic batch, and in 16-bit floats."""

import copy
from typing import Any

import pytest
import torch
from zoo import CASES, ModelCase

import stepwell as sw

# k of the tolerance rule below: a model is a long chain of ops, each of which may round differently from eager's.
MODEL_FACTOR = 64


def flat(value: Any) -> list[torch.Tensor]:
    """Return the tensors of a result."""
    return [value] if isinstance(value, torch.Tensor) else [tensor for item in value for tensor in flat(item)]


def assert_close(got: Any, eager: Any, exact: Any) -> None:
    """Compare with eager's own error against float64: max|y - y64| <= 4 max|eager - y64| + k eps max|y64|."""
    for ours, theirs, reference in zip(flat(got), flat(eager), flat(exact), strict=True):
        assert ours.dtype == theirs.dtype
        assert ours.shape == theirs.shape
        error = (ours.double() - reference).abs().max().item()
        allowed = 4 * (theirs.double() - reference).abs().max().item()
        allowed += MODEL_FACTOR * torch.finfo(ours.dtype).eps * reference.abs().max().item()
        assert error <= allowed


def in_double(inputs: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, ...]:
    """Return the inputs with floats widened."""
    return tuple(value.double() if value.is_floating_point() else value for value in inputs)


@torch.no_grad()
def check(case: ModelCase, batches: tuple[int, ...], dynamic: bool, dtype: torch.dtype = torch.float32) -> None:
    """Export once, compile, and compare at each batch size."""
    seed = torch.seed() % 2**31
    print(f"seed {seed}")
    model = case.model(seed, dtype)
    double = copy.deepcopy(model).double()

    def inputs_of(batch: int) -> tuple[torch.Tensor, ...]:
        return tuple(value.to(dtype) if value.is_floating_point() else value for value in case.inputs(batch))

    exported = torch.export.export(model, inputs_of(2), dynamic_shapes=case.dynamic if dynamic else None)
    executable = sw.compile(exported, target="cpu")
    for batch in batches:
        inputs = inputs_of(batch)
        assert_close(executable(*inputs), model(*inputs), double(*in_double(inputs)))


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_static_batch(case: ModelCase) -> None:
    """One program for one batch size."""
    check(case, (2,), dynamic=False)


@pytest.mark.parametrize("case", [case for case in CASES if case.dynamic], ids=lambda case: case.name)
def test_dynamic_batch(case: ModelCase) -> None:
    """One program for many batch sizes."""
    check(case, (2, 1, 3), dynamic=True)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=str)
@pytest.mark.parametrize("case", [case for case in CASES if case.half], ids=lambda case: case.name)
def test_half_precision(case: ModelCase, dtype: torch.dtype) -> None:
    """The small models in 16-bit floats."""
    check(case, (2,), dynamic=False, dtype=dtype)
