"""Turn kernels on tensors into loops over vectors for a CPU, behind kernel ABI v1.

Takes kernel modules at stage ``kernels`` (alone, or nested in a program) and gives stage ``scheduled``.  Rules are
asked in order and the first that takes a kernel builds it; its name and reasons are left on the function as
``stepwell.schedule`` and ``stepwell.reasons``.
"""

from dataclasses import dataclass
from typing import Any, ClassVar

from stepwell.passes.base import Pass, fail, option, register_pass
from stepwell.passes.schedules.cpu.contraction import ContractionRule
from stepwell.passes.schedules.cpu.fallback import FallbackRule
from stepwell.passes.schedules.cpu.pointwise import PointwiseRule
from stepwell.passes.schedules.cpu.rows import RowsRule
from stepwell.passes.schedules.cpu.rule import Rule
from stepwell.passes.schedules.kernel import Kernel, Refusal
from stepwell.support.bindings import ir
from stepwell.support.stages import Stage
from stepwell.support.target import Target

RULES: tuple[Rule, ...] = (PointwiseRule(), ContractionRule(), RowsRule(), FallbackRule())
"""Asked in order; the last takes what no other does."""


@register_pass
@dataclass(frozen=True)
class ScheduleCpuPass(Pass):
    """Schedule every kernel for a CPU by the first rule that accepts it."""

    name: ClassVar[str] = "schedule-cpu"
    summary: ClassVar[str] = "schedule kernels as vector loops for a CPU"
    stage: ClassVar[Stage | None] = Stage.KERNELS
    gives: ClassVar[Stage | None] = Stage.SCHEDULED

    target: str = option("cpu", help="the CPU to write for: cpu (this machine), cpu:x86-64-v3, cpu:x86-64-v4")

    def apply(self, op: "ir.Operation") -> None:
        """Schedule the kernels of a kernel module, or of all kernel modules nested in a program."""
        target = Target.parse(self.target)
        for function in kernel_functions(op.operation):
            with function.location:
                schedule(function, target)


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


def schedule(function: Any, target: Target) -> None:
    """Schedule one kernel function in place; fails where no rule takes it."""
    declined: list[str] = []
    module = function.parent
    try:
        kernel = Kernel.of(function)
    except Refusal as refusal:
        fail(function, f"cannot be scheduled: {refusal}")
    for rule in RULES:
        try:
            parameters = rule.parameters(kernel, target)
            rule.build(kernel, target, parameters)
        except Refusal as refusal:
            declined.append(f"{rule.name}: {refusal}")
            continue
        _note(module, kernel.name, (*parameters.reasons, *declined))
        return
    fail(function, f"cannot be scheduled: {'; '.join(declined)}")


def _note(module: Any, name: str, reasons: tuple[str, ...]) -> None:
    """Leave the reasons on the scheduled function, with those of the rules that declined."""
    for op in module.regions[0].blocks[0].operations:
        if op.attributes["sym_name"].value == name:
            op.operation.attributes["stepwell.reasons"] = ir.ArrayAttr.get([ir.StringAttr.get(r) for r in reasons])
