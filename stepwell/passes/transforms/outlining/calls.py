"""Which functions of a program run which, and what they hand over."""

from collections.abc import Iterator, Sequence
from typing import Any

from stepwell.dialects.plan import BranchOp, ControlOperation, LoopOp
from stepwell.passes.base import fail
from stepwell.passes.transforms.fusion.flow import Flow


def called_functions(module: Any) -> list[Any]:
    """Return ``@main`` and the functions that it runs, callers first; raises PassFailure where one is missing."""
    table = {
        child.operation.attributes["sym_name"].value: child.operation
        for child in module.regions[0].blocks[0].operations
        if child.operation.name == "func.func"
    }
    if "main" not in table:
        fail(module, "has no function 'main'")
    order: dict[str, Any] = {}

    def visit(name: str, caller: Any) -> None:
        if name not in table:
            fail(caller, f"runs function '{name}', which the module does not have")
        # What is called later must come later, whoever called it first.
        order.pop(name, None)
        order[name] = table[name]
        for step in steps(table[name]):
            for called in step.functions:
                visit(called, step.operation)

    visit("main", module)
    return list(order.values())


def steps(function: Any) -> Iterator[Any]:
    """Yield the ops of a function that run others."""
    for op in function.regions[0].blocks[0].operations:
        if isinstance(op, ControlOperation):
            yield op


def kept_inputs(step: Any) -> Iterator[tuple[str, int, Any]]:
    """Yield (function, argument, value) for the inputs that a step hands over the same each time it runs a function."""
    for name in step.functions:
        match step:
            case BranchOp():
                first = 0
            case LoopOp():
                first = step.carried.value + step.scanned.value
        for number, value in enumerate(step.inputs):
            if number >= first:
                yield name, number, value


def handed_constants(flows: Sequence[Flow]) -> dict[Any, Any]:
    """Return what stands behind each argument marked ``CONSTANT``: a value of the one function that hands it over."""
    by_name = {flow.kernel.name: flow for flow in flows}
    found: dict[Any, Any] = {}
    for flow in flows:
        for step in steps(flow.kernel.function):
            for name, number, value in kept_inputs(step):
                argument = by_name[name].kernel.tensors[number]
                if argument in by_name[name].constant_arguments:
                    found[argument] = value
    return found
