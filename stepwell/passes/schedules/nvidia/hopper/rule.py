"""Matrix products of float16 and bfloat16 on Hopper GPUs."""

from dataclasses import dataclass
from typing import ClassVar

from stepwell.passes.schedules.abi import OpenKernel
from stepwell.passes.schedules.contraction import Contraction, find_contraction
from stepwell.passes.schedules.indexing import product
from stepwell.passes.schedules.kernel import Kernel, Refusal
from stepwell.passes.schedules.nvidia.hopper.operands import Operand, find_operand, tensor_map_attribute
from stepwell.passes.schedules.nvidia.hopper.parameters import HopperParameters, rank
from stepwell.passes.schedules.nvidia.hopper.template import HopperTemplate, Views
from stepwell.passes.schedules.nvidia.tensor_maps import add_tensor_map
from stepwell.passes.schedules.rule import Rule
from stepwell.support.bindings import ir
from stepwell.support.target import Target

_FEWEST_ROWS = 17
"""Rows below which most of a warpgroup's 64 would be idle."""


@dataclass(frozen=True)
class HopperSchedule:
    """What will be built, and why."""

    contraction: Contraction
    left: Operand
    right: Operand
    parameters: HopperParameters
    reasons: tuple[str, ...]


class HopperRule(Rule):
    """Takes kernels of one contraction of 16-bit floats whose operands are strided views of arguments."""

    name: ClassVar[str] = "hopper-contraction"

    def parameters(self, kernel: Kernel, target: Target) -> HopperSchedule:
        """Describe the operands to the tensor memory accelerator, and rank tiles by the model."""
        if target.arch != "sm_90a":
            raise Refusal(f"{target} has no warpgroup products")
        contraction = find_contraction(kernel)
        if str(contraction.element) != "f32":
            raise Refusal(f"the sums are {contraction.element}, not f32")
        rows = contraction.count(contraction.rows)
        if rows.is_constant and rows.constant < _FEWEST_ROWS:
            raise Refusal(f"{rows} rows would leave most of a warpgroup idle")
        left = find_operand(kernel, contraction, contraction.left, contraction.rows)
        right = find_operand(kernel, contraction, contraction.right, contraction.columns)
        if left.element != right.element:
            raise Refusal("the operands have different types")
        ranked = rank(contraction, target)
        clocks, best = ranked[0]
        losers = [f"{other.describe()}: {cost / clocks:.2f} times the clocks" for cost, other in ranked[1:3]]
        return HopperSchedule(contraction, left, right, best, (f"{best.describe()}", *losers))

    def build(self, kernel: Kernel, target: Target, parameters: HopperSchedule) -> None:
        """Write the launch."""
        contraction, chosen = parameters.contraction, parameters.parameters
        opened = OpenKernel.begin(kernel)
        try:
            views = []
            for operand, free in ((parameters.left, chosen.rows), (parameters.right, chosen.columns)):
                value = add_tensor_map(opened, tensor_map_attribute(operand, free))
                views.append(Views(operand, value, free))
            HopperTemplate(opened, contraction, views[0], views[1], chosen, target.multiprocessors).write()
        except BaseException:
            opened.abandon()
            raise
        opened.function.attributes["stepwell.flops"] = ir.StringAttr.get(str(2 * product(contraction.extents)))
        opened.close(self.name, parameters.reasons)
