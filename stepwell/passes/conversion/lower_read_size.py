"""Read numbers that become sizes within the function rather than by the host.

Takes and gives stage ``linalg``.  ``plan.read_size`` becomes a ``tensor.extract`` and an index cast: what runs a whole
program as one function, to compare other roads with, has no host.  Where the host would fail the call, the size is the
bound that the number breaks, so that no access leaves its tensor.
"""

from dataclasses import dataclass
from typing import Any, ClassVar

from stepwell.dialects.graph.sizes import SYMBOL
from stepwell.dialects.plan import ReadSizeOp
from stepwell.passes.base import Pass, register_pass
from stepwell.passes.conversion.graph_to_linalg.lowering import Builder
from stepwell.passes.schedules.kernel import DYNAMIC
from stepwell.passes.transforms.kernel_interface import SIZES
from stepwell.support.bindings import arith, ir, tensor
from stepwell.support.stages import Stage
from stepwell.support.symbolic import Expr


@register_pass
@dataclass(frozen=True)
class LowerReadSizePass(Pass):
    """Replace plan.read_size by ops on tensors.

    Before: ``%u0 = "plan.read_size"(%count) {label = "u0", minimum = "0"} : (tensor<i64>) -> index``.
    After: ``%0 = tensor.extract %count[]``, ``%1 = arith.index_cast %0`` and ``%u0 = arith.maxsi %1, %c0``.
    """

    name: ClassVar[str] = "lower-read-size"
    summary: ClassVar[str] = "read sizes from tensors without the host"
    stage: ClassVar[Stage | None] = Stage.LINALG
    gives: ClassVar[Stage | None] = Stage.LINALG
    anchor: ClassVar[str] = "func.func"

    def apply(self, op: "ir.Operation") -> None:
        """Lower the reads of one function."""
        if not op.regions[0].blocks:
            return
        reads = [child for child in op.regions[0].blocks[0].operations if isinstance(child, ReadSizeOp)]
        symbols = symbols_of(op) if reads else {}
        for read in reads:
            lower_read_size(read, symbols)


def symbols_of(function: Any) -> dict[str, Any]:
    """Return an index value per symbol that the arguments of a linalg-stage function bring, at the function's top."""
    block = function.regions[0].blocks[0]
    attributes = list(function.attributes["arg_attrs"]) if "arg_attrs" in function.attributes else []
    found: dict[str, Any] = {}
    with ir.InsertionPoint.at_block_begin(block), ir.Location.unknown(function.context):
        for argument, named in zip(block.arguments, attributes, strict=False):
            if SYMBOL in named:
                found.setdefault(named[SYMBOL].value, argument)
            if SIZES not in named:
                continue
            dims = [dim for dim, size in enumerate(argument.type.shape) if size == DYNAMIC]
            for dim, text in zip(dims, named[SIZES], strict=True):
                if text.value.isidentifier() and text.value not in found:
                    found[text.value] = tensor.dim(argument, arith.constant(ir.IndexType.get(), dim))
    return found


def lower_read_size(op: Any, symbols: dict[str, Any]) -> None:
    """Replace one read, and note its size among ``symbols``."""
    point = ir.InsertionPoint(op.operation)
    build = Builder(symbols)
    build.size_point = point
    with op.location, point:
        number = arith.index_cast(ir.IndexType.get(), tensor.extract(op.count, []))
        if op.maximum is not None:
            number = arith.minsi(number, build.size(Expr.parse(op.maximum.value)))
        if op.minimum is not None:
            number = arith.maxsi(number, build.size(Expr.parse(op.minimum.value)))
    symbols[op.label.value] = number
    op.operation.results[0].replace_all_uses_with(number)
    op.operation.erase()
