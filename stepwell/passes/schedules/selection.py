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


CHOICES = "stepwell.choices"
"""On a scheduled function: how many candidates are worth compiling, where they are more than one."""
FINALISTS = 3
"""How many candidates of a rule are worth compiling, at most."""


def schedule_kernels(module: Any, target: Target, rules: Sequence[Rule], choice: int = 0) -> None:
    """Schedule the kernels of a kernel module, or of all kernel modules nested in a program.

    ``choice`` is the number of the rule's candidate to build.
    """
    for function in kernel_functions(module):
        with function.location:
            schedule(function, target, rules, choice)


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


def schedule(function: Any, target: Target, rules: Sequence[Rule], choice: int = 0) -> None:
    """Schedule one kernel function in place by the first rule that takes it; fails where none does."""
    declined: list[str] = []
    module = function.parent
    try:
        kernel = Kernel.of(function)
    except Refusal as refusal:
        fail(function, f"cannot be scheduled: {refusal}")
    for rule in rules:
        try:
            finalists = rule.candidates(kernel, target)[:FINALISTS]
            parameters = finalists[min(choice, len(finalists) - 1)]
            rule.build(kernel, target, parameters)
        except Refusal as refusal:
            declined.append(f"{rule.name}: {refusal}")
            continue
        _note(module, kernel.name, parameters.reasons, declined, _choice_notes(len(finalists), parameters))
        return
    fail(function, f"cannot be scheduled: {'; '.join(declined)}")


def _choice_notes(count: int, parameters: Any) -> dict[str, Any]:
    if count == 1:
        return {}
    i64, f64 = ir.IntegerType.get_signless(64), ir.F64Type.get()
    notes = {CHOICES: ir.IntegerAttr.get(i64, count)}
    if getattr(parameters, "estimate", None) is not None:
        notes["stepwell.estimate"] = ir.FloatAttr.get(f64, float(parameters.estimate))
    if getattr(parameters, "registers", None) is not None:
        notes["stepwell.registers"] = ir.IntegerAttr.get(i64, parameters.registers)
    return notes


def _note(module: Any, name: str, reasons: Sequence[str], declined: Sequence[str], notes: dict[str, Any]) -> None:
    """Leave notes on the scheduled function, and why it is as it is: what building it told too, and who declined."""
    for op in module.regions[0].blocks[0].operations:
        if op.attributes["sym_name"].value == name:
            attributes = op.operation.attributes
            known = [text.value for text in attributes[REASONS]] if REASONS in attributes else list(reasons)
            attributes[REASONS] = ir.ArrayAttr.get([ir.StringAttr.get(text) for text in (*known, *declined)])
            for key, value in notes.items():
                attributes[key] = value
