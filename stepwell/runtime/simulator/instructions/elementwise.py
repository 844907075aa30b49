"""Steps of instructions that compute each thread's result from its own operands."""

from collections.abc import Callable

from stepwell.runtime.simulator.machine.binding import Binder, Destination, Source
from stepwell.runtime.simulator.machine.lanes import Array, Lanes
from stepwell.runtime.simulator.machine.registry import Step
from stepwell.runtime.simulator.ptx.types import PtxType


def sources(bind: Binder, kind: str | PtxType, first: int = 1) -> list[Source]:
    """Return the operands from number ``first`` on, all of one type."""
    return [bind.source(number, kind) for number in range(first, len(bind.ins.operands))]


def compute(destination: Destination, function: Callable[..., Array], operands: list[Source]) -> Step:
    """Return the step that writes a function of the operands."""
    if len(operands) == 1:
        (only,) = operands

        def unary(lanes: Lanes) -> None:
            destination(lanes, function(only(lanes)))

        return unary
    if len(operands) == 2:
        left, right = operands

        def binary(lanes: Lanes) -> None:
            destination(lanes, function(left(lanes), right(lanes)))

        return binary
    if len(operands) == 3:
        first, second, third = operands

        def ternary(lanes: Lanes) -> None:
            destination(lanes, function(first(lanes), second(lanes), third(lanes)))

        return ternary

    def general(lanes: Lanes) -> None:
        destination(lanes, function(*(operand(lanes) for operand in operands)))

    return general
