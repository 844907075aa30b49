"""Compiled models against eager, by one rule of tolerance."""

import copy
from collections.abc import Sequence
from typing import Any

import torch

import stepwell as sw
from zoo.cases import ModelCase

# k of the rule: a model is a long chain of ops, each of which may round differently from eager's.
_MODEL_FACTOR = 64


def _flat(value: Any) -> list[torch.Tensor]:
    return [value] if isinstance(value, torch.Tensor) else [tensor for item in value for tensor in _flat(item)]


def _of_type(inputs: Sequence[torch.Tensor], dtype: torch.dtype) -> tuple[torch.Tensor, ...]:
    """Return the inputs with floats converted."""
    return tuple(value.to(dtype) if value.is_floating_point() else value for value in inputs)


def export(
    case: ModelCase, batch: int = 2, dynamic: bool = False, dtype: torch.dtype = torch.float32
) -> tuple[torch.nn.Module, torch.export.ExportedProgram]:
    """Return the model with weights of torch's initial seed, which is printed, and its program."""
    seed = torch.initial_seed() % 2**31
    print(f"seed {seed}")
    model = case.model(seed, dtype)
    shapes = case.dynamic if dynamic else None
    return model, torch.export.export(model, _of_type(case.inputs(batch), dtype), dynamic_shapes=shapes)


@torch.no_grad()
def assert_close(executable: sw.Executable, model: torch.nn.Module, inputs: Sequence[torch.Tensor]) -> None:
    """Compare with eager's own error against float64: max|y - y64| <= 4 max|eager - y64| + k eps max|y64|."""
    double = copy.deepcopy(model).double()
    results = executable(*inputs), model(*inputs), double(*_of_type(inputs, torch.float64))
    for ours, theirs, exact in zip(*map(_flat, results), strict=True):
        assert ours.dtype == theirs.dtype
        assert ours.shape == theirs.shape
        error = (ours.double() - exact).abs().max().item()
        allowed = 4 * (theirs.double() - exact).abs().max().item()
        allowed += _MODEL_FACTOR * torch.finfo(ours.dtype).eps * exact.abs().max().item()
        assert error <= allowed


def check(
    case: ModelCase,
    *,
    target: str,
    device: str | None = None,
    batches: Sequence[int] = (2,),
    dynamic: bool = False,
    dtype: torch.dtype = torch.float32,
) -> sw.Executable:
    """Export once, compile, and compare at each batch size; return what was compiled."""
    model, program = export(case, 2, dynamic, dtype)
    executable = sw.compile(program, target=target, device=device)
    for batch in batches:
        assert_close(executable, model, _of_type(case.inputs(batch), dtype))
    return executable
