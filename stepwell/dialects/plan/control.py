"""Steps of the host that run other functions: branches and loops.

A function that a step runs takes the step's tensors, and behind them the sizes that it uses, as index arguments that
carry ``stepwell.symbol``.  At stage ``linalg``, where sizes are SSA values, ``sizes`` holds them for all called
functions in order, and ``result_sizes`` the texts of the dynamic sizes of each result; later both are gone, for types
name their sizes, and a size means the same in all functions.

``plan-buffers`` gives a step ``placements``, as a launch, and ``scratch``: the places of what it needs beside results.
"""

from collections.abc import Sequence
from typing import Any

from stepwell.dialects.definition import Operand, Result, VerificationError, operand, result
from stepwell.dialects.plan.ops import PlanOperation
from stepwell.support.bindings import ir

# As of the graph dialect's ops.
MAX_INPUTS = 256
MAX_OUTPUTS = 64


class ControlOperation(PlanOperation):
    """Base of steps that run functions."""

    @property
    def functions(self) -> list[str]:
        """Names of the functions that it may run, in the order of ``sizes``."""
        fields = [field.name for field in self.of_kind("attribute") if field.constraint is ir.FlatSymbolRefAttr]
        symbols = [getattr(self, name) for name in fields]
        return [ir.FlatSymbolRefAttr(symbol).value for symbol in symbols if symbol is not None]

    def shape_texts(self, number: int) -> list[str]:
        """Return the dynamic sizes of a result at stage ``linalg``."""
        listed = list(self.result_sizes) if self.result_sizes is not None else []
        return [ir.StringAttr(text).value for text in ir.ArrayAttr(listed[number])] if number < len(listed) else []


class BranchOp(ControlOperation, name="branch"):
    """Run ``then`` on ``inputs`` where ``predicate``, one bool, holds, else ``otherwise``.

    ``%1 = "plan.branch"(%p, %x) {then = @f, otherwise = @g, ...} : (tensor<i1>, tensor<4xf32>) -> tensor<4xf32>``
    """

    predicate: Operand[ir.RankedTensorType]
    inputs: Sequence[Operand[ir.RankedTensorType]] = operand(mixed=True, limit=MAX_INPUTS)
    sizes: Sequence[Operand[ir.IndexType]]
    then: ir.FlatSymbolRefAttr
    otherwise: ir.FlatSymbolRefAttr
    result_sizes: ir.ArrayAttr | None
    outputs: Sequence[Result[ir.RankedTensorType]] = result(mixed=True, limit=MAX_OUTPUTS)

    def verify_invariants(self) -> None:
        """The predicate is one bool."""
        kind = self.predicate.type
        if str(kind.element_type) != "i1" or any(size != 1 for size in kind.shape):
            raise VerificationError(f"a predicate must be one bool, got {kind}")


class LoopOp(ControlOperation, name="loop"):
    """Run ``body`` again and again: as long as ``condition`` holds of its inputs, or ``trips`` times.

    The first ``carried`` inputs are replaced by what ``body`` returns first; of the next ``scanned``, round ``i`` takes
    slice ``i`` along the first dimension.  What ``body`` returns behind the carried values becomes slice ``i`` of the
    further results.

    ``%1 = "plan.loop"(%x) {condition = @f, body = @g, carried = 1, scanned = 0} : (tensor<4xf32>) -> tensor<4xf32>``
    """

    inputs: Sequence[Operand[ir.RankedTensorType]] = operand(mixed=True, limit=MAX_INPUTS)
    sizes: Sequence[Operand[ir.IndexType]]
    condition: ir.FlatSymbolRefAttr | None
    body: ir.FlatSymbolRefAttr
    carried: ir.IntegerAttr
    scanned: ir.IntegerAttr
    trips: ir.StringAttr | None
    result_sizes: ir.ArrayAttr | None
    outputs: Sequence[Result[ir.RankedTensorType]] = result(mixed=True, limit=MAX_OUTPUTS)

    def verify_invariants(self) -> None:
        """There is one way to end, and the numbers fit the inputs."""
        if (self.condition is None) == (self.trips is None):
            raise VerificationError("a loop has either a condition or a number of trips")
        carried, scanned = self.carried.value, self.scanned.value
        if carried < 0 or scanned < 0 or carried + scanned > len(self.inputs) or carried > len(self.outputs):
            raise VerificationError(f"{carried} carried and {scanned} scanned inputs do not fit {len(self.inputs)}")
        for value, kind in zip(self.outputs[:carried], self.inputs[:carried], strict=True):
            if value.type.element_type != kind.type.element_type or value.type.rank != kind.type.rank:
                raise VerificationError(f"a loop carries {kind.type} and returns {value.type}")


def is_control(op: Any) -> bool:
    """Tell whether an op is a step that runs functions."""
    return isinstance(op.operation.opview, ControlOperation)
