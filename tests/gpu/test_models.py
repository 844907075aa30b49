"""Whole models against eager on a GPU; a simulated one would take minutes for each."""

from typing import Any

import pytest
import torch
from zoo import CASES, ModelCase

import stepwell as sw

# k of the tolerance rule: a model is a long chain of ops, each of which may round differently from eager's.
MODEL_FACTOR = 64


def flat(value: Any) -> list[torch.Tensor]:
    """Return the tensors of a result."""
    return [value] if isinstance(value, torch.Tensor) else [tensor for item in value for tensor in flat(item)]


@torch.no_grad()
@pytest.mark.long
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_model(case: ModelCase, device: str, target: str) -> None:
    model = case.model(torch.initial_seed() % 2**31)
    inputs = case.inputs(2)
    exe = sw.compile(torch.export.export(model, inputs), target=target, device=device)
    eager = flat(model(*inputs))
    exact = flat(model.double()(*(value.double() if value.is_floating_point() else value for value in inputs)))
    for ours, theirs, reference in zip(flat(exe(*inputs)), eager, exact, strict=True):
        error = (ours.double() - reference).abs().max().item()
        allowed = 4 * (theirs.double() - reference).abs().max().item()
        allowed += MODEL_FACTOR * torch.finfo(ours.dtype).eps * reference.abs().max().item()
        assert error <= allowed
