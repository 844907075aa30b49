"""Note which arguments of branches and bodies of loops are the same at every call of the program.

Takes and gives stage ``linalg``.  A parameter that a branch uses reaches it as an argument; so does what depends on
parameters alone.  Such an argument gets the attribute ``stepwell.constant``, so that later passes lay it out
and compute with it once, in ``prepare``, as they do for arguments of ``@main``::

    %1 = "plan.branch"(%p, %x, %weight) {then = @f, otherwise = @g}      // %weight is a parameter
    func.func @f(%x: tensor<4xf32>, %weight: tensor<4xf32> {stepwell.constant})

Left alone: what a loop carries or goes along, arguments of functions that several steps run, and functions that
``@main`` does not reach.
"""

from collections import Counter
from dataclasses import dataclass
from typing import Any, ClassVar

from stepwell.passes.base import Pass, fail, register_pass
from stepwell.passes.schedules.kernel import Refusal
from stepwell.passes.transforms.fusion.flow import CONSTANT, Flow
from stepwell.passes.transforms.outlining.calls import called_functions, kept_inputs, steps
from stepwell.support.bindings import ir
from stepwell.support.stages import Stage


@register_pass
@dataclass(frozen=True)
class MarkConstantArgumentsPass(Pass):
    """Mark constant arguments of the functions that steps of the host run."""

    name: ClassVar[str] = "mark-constant-arguments"
    summary: ClassVar[str] = "note which arguments of branches and bodies of loops never change"
    stage: ClassVar[Stage | None] = Stage.LINALG
    gives: ClassVar[Stage | None] = Stage.LINALG

    def apply(self, op: "ir.Operation") -> None:
        """Mark from callers to what they call."""
        if not any(True for child in op.regions[0].blocks[0].operations for _ in _steps_of(child.operation)):
            return
        called = called_functions(op)
        table = {function.attributes["sym_name"].value: function for function in called}
        users = Counter(name for function in called for step in steps(function) for name in set(step.functions))
        for function in called:
            given = [each for step in steps(function) for each in kept_inputs(step) if users[each[0]] == 1]
            if not given:
                continue
            try:
                flow = Flow(function)
            except Refusal as refusal:
                fail(function, str(refusal))
            for name, number, value in given:
                if flow.is_constant_value(value):
                    _mark(table[name], number)


def _steps_of(op: Any) -> Any:
    return steps(op) if op.name == "func.func" and op.regions[0].blocks else ()


def _mark(function: Any, number: int) -> None:
    with function.context:
        block = function.regions[0].blocks[0]
        entries = list(function.attributes["arg_attrs"]) if "arg_attrs" in function.attributes else []
        entries = entries or [ir.DictAttr.get({}) for _ in block.arguments]
        kept = {named.name: named.attr for named in entries[number]}
        entries[number] = ir.DictAttr.get({**kept, CONSTANT: ir.UnitAttr.get()})
        function.attributes["arg_attrs"] = ir.ArrayAttr.get(entries)
