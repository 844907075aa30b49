"""Keep the elements of bool buffers as bytes.

Takes and gives any stage on memrefs.  MLIR has no memory of single bits: a ``memref<?xi1>`` becomes a ``memref<?xi8>``
of zeros and ones, loads compare with zero and stores extend.  Constants and function signatures change with it.

Leaves i1 values and vectors alone; vector accesses to i1 memory are refused.
"""

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from stepwell.passes.base import Pass, fail, register_pass
from stepwell.support.bindings import arith, ir, memref


@register_pass
@dataclass(frozen=True)
class WidenBoolsPass(Pass):
    """Make every i1 memref an i8 memref."""

    name: ClassVar[str] = "widen-bools"
    summary: ClassVar[str] = "store bools as bytes"

    def apply(self, op: "ir.Operation") -> None:
        """Widen all buffers of the module."""
        for access in operations(op, *_VECTOR_ACCESSES):
            if any(_widened(operand.type) is not None for operand in access.operands):
                fail(access, "expects bytes in memory; bools are compared with zero after the load")
        for child in operations(op):
            _retype(child)
        bit = ir.IntegerType.get_signless(1, op.context)
        for load in operations(op, "memref.load"):
            if load.results[0].type == bit:
                _widen_load(load)
        for store in operations(op, "memref.store"):
            if store.operands[0].type == bit:
                _widen_store(store)


_VECTOR_ACCESSES = tuple(
    f"vector.{name}" for name in ("load", "store", "maskedload", "maskedstore", "gather", "scatter")
)


def operations(root: Any, *names: str) -> list[Any]:
    """Return all operations inside ``root``, or those of the given names."""
    found: list[Any] = []

    def visit(op: Any) -> Any:
        if not names or op.name in names:
            found.append(op)
        return ir.WalkResult.ADVANCE

    root.operation.walk(visit)
    return found


def _widened(type_: Any) -> Any:
    """Return the byte version of a bool memref type, or None for other types."""
    if not isinstance(type_, ir.MemRefType) or type_.element_type != ir.IntegerType.get_signless(1, type_.context):
        return None
    byte = ir.IntegerType.get_signless(8, type_.context)
    return ir.MemRefType.get(type_.shape, byte, type_.layout, loc=ir.Location.unknown(type_.context))


def _retype(op: Any) -> None:
    blocks = [block for region in op.regions for block in region.blocks]
    for value in [*op.results, *(argument for block in blocks for argument in block.arguments)]:
        if _widened(value.type) is not None:
            value.set_type(_widened(value.type))
    if op.name == "memref.global" and (type_ := _widened(op.attributes["type"].value)) is not None:
        op.attributes["type"] = ir.TypeAttr.get(type_)
        values = np.array(op.attributes["initial_value"]).astype(np.int8)
        op.attributes["initial_value"] = ir.DenseElementsAttr.get(values, context=op.context)
    if op.name == "func.func":
        kind = op.attributes["function_type"].value
        types = [[_widened(type_) or type_ for type_ in group] for group in (kind.inputs, kind.results)]
        op.attributes["function_type"] = ir.TypeAttr.get(ir.FunctionType.get(*types, context=op.context))


def _widen_load(load: Any) -> None:
    with load.location, ir.InsertionPoint(load):
        byte = memref.load(load.operands[0], list(load.operands)[1:])
        is_true = arith.cmpi(arith.CmpIPredicate.ne, byte, arith.constant(byte.type, 0))
    load.results[0].replace_all_uses_with(is_true)
    load.erase()


def _widen_store(store: Any) -> None:
    with store.location, ir.InsertionPoint(store):
        byte = arith.extui(ir.IntegerType.get_signless(8), store.operands[0])
        memref.store(byte, store.operands[1], list(store.operands)[2:])
    store.erase()
