"""Pad constant weights so that their lines start at multiples of 16 bytes, once and not at each call.

Takes and gives stage ``linalg``.  The weight of a contraction whose lines do not::

    %y = linalg.generic {(m, k), (k, n) -> (m, n)} ins(%x, %w)            // w: [K, 1003]

becomes a slice of a wider one, which depends on constants alone, so that ``form-kernels`` puts it into ``prepare``::

    %p = tensor.pad %w high [0, 5]                                        // p: [K, 1008]
    %s = tensor.extract_slice %p [0, 0] [K, 1003] [1, 1]
    %y = linalg.generic {(m, k), (k, n) -> (m, n)} ins(%x, %s)

A GPU's tensor maps take no other lines.  Leaves alone weights that change, have other than two dimensions, lie along
the depth (then the other operand's lines are as long, and nobody pads those), or have lines so short that padding would
cost more than a quarter of them.
"""

from dataclasses import dataclass
from typing import Any, ClassVar

from stepwell.passes.base import Pass, fail, register_pass
from stepwell.passes.schedules.abi import bytes_of
from stepwell.passes.schedules.contraction import match_product
from stepwell.passes.schedules.kernel import DYNAMIC, Refusal, indexing_maps, is_reduction, iterator_types
from stepwell.passes.transforms.fusion.flow import Flow
from stepwell.passes.transforms.padding import after, pad_high
from stepwell.support.bindings import ir, tensor
from stepwell.support.stages import Stage

_UNIT = 16
_SHORTEST_LINE = 4 * _UNIT


@register_pass
@dataclass(frozen=True)
class PadConstantsPass(Pass):
    """Pad the lines of constant weights to multiples of 16 bytes."""

    name: ClassVar[str] = "pad-constants"
    summary: ClassVar[str] = "let the lines of constant weights start at multiples of 16 bytes"
    stage: ClassVar[Stage | None] = Stage.LINALG
    gives: ClassVar[Stage | None] = Stage.LINALG
    anchor: ClassVar[str] = "func.func"

    def apply(self, op: "ir.Operation") -> None:
        """Pad the weights of one function."""
        if not op.regions[0].blocks:
            return
        try:
            flow = Flow(op)
        except Refusal as refusal:
            fail(op, str(refusal))
        sliced: dict[Any, Any] = {}
        for node in flow.nodes:
            for number in weights_to_pad(flow, node.op):
                weight = node.op.operands[number]
                if weight not in sliced:
                    with node.op.location, after(weight):
                        sliced[weight] = _widen(weight)
                node.op.operands[number] = sliced[weight]


def weights_to_pad(flow: Flow, op: Any) -> list[int]:
    """Return the numbers of the operands of ``op`` that are weights with lines to pad."""
    if not is_reduction(op):
        return []
    try:
        match_product(op)
    except Refusal:
        return []
    pairs = enumerate(list(op.operands)[:2])
    return [
        number
        for number, operand in pairs
        if flow.is_constant_value(operand) and _missing(operand.type) and not _runs_along_depth(op, number)
    ]


def _runs_along_depth(op: Any, number: int) -> bool:
    last = indexing_maps(op)[number].results[-1]
    return not isinstance(last, ir.AffineDimExpr) or iterator_types(op)[last.position] == "reduction"


def _missing(type_: Any) -> int:
    """Return how many elements a line lacks; 0 where it needs none or is not worth it."""
    if type_.rank != 2 or DYNAMIC in type_.shape:
        return 0
    size = bytes_of(type_.element_type)
    line = type_.shape[1] * size
    return -line % _UNIT // size if line >= _SHORTEST_LINE else 0


def _widen(weight: Any) -> Any:
    shape = list(weight.type.shape)
    padded = pad_high(weight, [0, _missing(weight.type)])
    return tensor.ExtractSliceOp(weight.type, padded, [], [], [], [0, 0], shape, [1, 1]).result
