"""Test many small functions at once: one exported program holds all cases, which keeps op tests quick."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from harness.arrays import to_numpy, to_torch
from harness.comparison import difference
from harness.evaluation import evaluate
from harness.execution import DEVICE, compiled
from harness.gradients import traceable
from stepwell.dialects.definition import verify
from stepwell.frontends.torch import from_exported_program
from stepwell.runtime.memory_views import memory_of
from stepwell.support.module import Module


@dataclass(frozen=True)
class Case:
    """A function of tensors that returns a tensor or a tuple of them.

    Attributes:
        name: shown where it fails.
        function: computes with torch ops.
        inputs: example tensors.
        dynamic: per number of an input, the dimensions that are symbolic.  Symbolic sizes that are equal in the
            examples and share a name are one size; ``n>=4`` gives the least size too.
        others: more tensors to call the compiled program with; only symbolic sizes may differ from ``inputs``.
        family: the row of the tolerance table, where it is not that of all cases.
    """

    name: str
    function: Callable[..., Any]
    inputs: Sequence[torch.Tensor]
    dynamic: Mapping[int, Mapping[int, str]] = field(default_factory=dict)
    others: Sequence[torch.Tensor] | None = None
    family: str | None = None


class _Batch(torch.nn.Module):
    def __init__(self, cases: Sequence[Case]) -> None:
        super().__init__()
        self.cases = cases
        self.functions = [traceable(case.function, case.inputs, bool(case.dynamic)) for case in cases]

    def forward(self, *inputs: torch.Tensor) -> tuple[Any, ...]:
        results: list[torch.Tensor] = []
        for function, chunk in zip(self.functions, _chunks(self.cases, inputs), strict=True):
            results += _tensors(function(*chunk))
        return tuple(results)


def check_cases(family: str, cases: Sequence[Case], *, third_opinion: bool = True, device: str = DEVICE) -> None:
    """Export all cases as one program, compile and run it, and compare every result with eager torch and float64.

    Args:
        family: the row of the tolerance table.
        cases: what to check.
        third_opinion: also run the ops' numpy semantics, for the cases without symbolic sizes.
        device: what runs the program.
    """
    module = import_cases(cases)
    runs = [[case.inputs for case in cases]]
    if any(case.others is not None for case in cases):
        runs.append([case.others if case.others is not None else case.inputs for case in cases])
    run = compiled(module, device)
    faults: list[str] = []
    for inputs in runs:
        found = [to_torch(array) for array in run(_flat(inputs))]
        faults += _compare(family, cases, inputs, found, "compiled")
    static = [case for case in cases if not case.dynamic]
    if third_opinion and static:
        reference = module if len(static) == len(cases) else import_cases(static)
        inputs = [case.inputs for case in static]
        found = [to_torch(array) for array in evaluate(reference, _arguments(reference, inputs))]
        faults += _compare(family, static, inputs, found, "evaluate")
    assert not faults, "\n".join(faults)


def import_cases(cases: Sequence[Case]) -> Module:
    """Return the verified graph module of all cases."""
    inputs = tuple(tensor for case in cases for tensor in case.inputs)
    # A program without inputs still needs a call.
    exported = torch.export.export(_Batch(cases).eval(), inputs, dynamic_shapes=_dynamic_shapes(cases))
    module = from_exported_program(exported)
    assert verify(module.operation) == 0
    assert module.operation.verify()
    return module


def _dynamic_shapes(cases: Sequence[Case]) -> Any:
    if not any(case.dynamic for case in cases):
        return None
    shapes: list[Any] = []
    for number, case in enumerate(cases):
        names = {name for dims in case.dynamic.values() for name in dims.values()}
        sizes = {name: _size(name, number) for name in names}
        for position in range(len(case.inputs)):
            dims = case.dynamic.get(position)
            shapes.append({dim: sizes[name] for dim, name in dims.items()} if dims else None)
    return {"inputs": tuple(shapes)}


def _size(name: str, number: int) -> Any:
    """Return the symbolic size of a name such as ``n``, or ``n>=4`` where the function needs a least size."""
    label, _, least = name.partition(">=")
    return torch.export.Dim(f"{label}_{number}", min=int(least)) if least else torch.export.Dim(f"{label}_{number}")


def _arguments(module: Module, inputs: Sequence[Sequence[torch.Tensor]]) -> list[np.ndarray]:
    """Return main's arguments: the cases' tensors, then whatever the export lifted out of the functions."""
    assert module.signature is not None
    flat, specs = _flat(inputs), module.signature.arguments
    users = [memory_of(x, spec) if spec.memory else x for x, spec in zip(flat, specs, strict=False)]
    return users + [to_numpy(module.parameters[spec.name]) for spec in specs[len(users) :]]


def _flat(inputs: Sequence[Sequence[torch.Tensor]]) -> list[np.ndarray]:
    return [to_numpy(tensor) for chunk in inputs for tensor in chunk]


def _compare(
    family: str,
    cases: Sequence[Case],
    inputs: Sequence[Sequence[torch.Tensor]],
    found: Sequence[torch.Tensor],
    how: str,
) -> list[str]:
    faults = []
    position = 0
    for case, chunk in zip(cases, inputs, strict=True):
        eager = _tensors(case.function(*chunk))
        exact = _tensors(case.function(*[_to_double(tensor) for tensor in chunk]))
        for number, (plain, best) in enumerate(zip(eager, exact, strict=True)):
            fault = difference(found[position], plain, best, case.family or family)
            if fault:
                faults.append(f"{case.name}, result {number}, {how}: {fault}")
            position += 1
    return faults


def _to_double(tensor: torch.Tensor) -> torch.Tensor:
    if tensor.dtype.is_complex:
        return tensor.to(torch.complex128)
    return tensor.double() if tensor.dtype.is_floating_point else tensor


def _tensors(value: Any) -> list[torch.Tensor]:
    return [value] if isinstance(value, torch.Tensor) else list(value)


def _chunks(cases: Sequence[Case], inputs: Sequence[torch.Tensor]) -> list[Sequence[torch.Tensor]]:
    chunks = []
    start = 0
    for case in cases:
        chunks.append(inputs[start : start + len(case.inputs)])
        start += len(case.inputs)
    return chunks
