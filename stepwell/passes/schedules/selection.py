"""Ask the rules of a machine in turn which of them takes a kernel, and keep what they said."""

from collections.abc import Sequence
from typing import Any

from stepwell.passes.base import fail
from stepwell.passes.schedules.kernel import Kernel, Refusal
from stepwell.passes.schedules.rule import Rule
from stepwell.support.bindings import ir
from stepwell.support.target import Target

REASONS = "stepwell.reasons"
"""On a scheduled function: why its schedule was taken, and is as it is."""


def schedule_kernels(module: Any, target: Target, rules: Sequence[Rule]) -> None:
    """Schedule the kernels of a kernel module, or of all kernel modules nested in a program."""
    for function in kernel_functions(module):
        with function.location:
            schedule(function, target, rules)


def kernel_functions(module: Any) -> list[Any]:
    """Return the kernel functions in ``module``: those of nested kernel modules, else its own that are on tensors."""
    children = [child.operation for child in module.regions[0].blocks[0].operations]
    nested = [child for child in children if child.name == "builtin.module"]
    if nested:
        return [function for child in nested for function in kernel_functions(child)]
    return [child for child in children if child.name == "func.func" and _is_on_tensors(child)]


def _is_on_tensors(function: Any) -> bool:
    kind = function.attributes["function_type"].value
    return any(isinstance(type_, ir.RankedTensorType) for type_ in (*kind.inputs, *kind.results))


def schedule(function: Any, target: Target, rules: Sequence[Rule]) -> None:
    """Schedule one kernel function in place by the first rule that takes it; fails where none does."""
    declined: list[str] = []
    module = function.parent
    try:
        kernel = Kernel.of(function)
    except Refusal as refusal:
        fail(function, f"cannot be scheduled: {refusal}")
    for rule in rules:
        try:
            parameters = rule.parameters(kernel, target)
            rule.build(kernel, target, parameters)
        except Refusal as refusal:
            declined.append(f"{rule.name}: {refusal}")
            continue
        _note(module, kernel.name, parameters.reasons, declined)
        return
    fail(function, f"cannot be scheduled: {'; '.join(declined)}")


def _note(module: Any, name: str, reasons: Sequence[str], declined: Sequence[str]) -> None:
    """Leave the reasons on the scheduled function, those found while building too, with the rules that declined."""
    for op in module.regions[0].blocks[0].operations:
        if op.attributes["sym_name"].value == name:
            attributes = op.operation.attributes
            known = [text.value for text in attributes[REASONS]] if REASONS in attributes else list(reasons)
            attributes[REASONS] = ir.ArrayAttr.get([ir.StringAttr.get(text) for text in (*known, *declined)])
