"""Follow the pointers of a kernel through views to the ops that read and write there."""

from collections.abc import Iterable
from typing import Any

from stepwell.support.bindings import ir

_VIEWS = frozenset(
    f"memref.{name}" for name in ("reinterpret_cast", "subview", "view", "cast", "collapse_shape", "expand_shape")
)
_READS = frozenset({"memref.load", "vector.load", "vector.maskedload", "vector.gather", "memref.dim"})
_WRITES = frozenset({"memref.store", "vector.store", "vector.maskedstore", "vector.scatter"})
_ACCESSES = {"vector.load": 0, "vector.store": 1}
_WIDEST = 16


def unshared(root: Any, pointers: Iterable[Any], views: Iterable[Any]) -> set[Any]:
    """Return the pointers through which the code in ``root`` only reads, or only writes.

    ``views`` are ops outside ``root`` that make views of the pointers, operands before users.
    """
    origins = {pointer: pointer for pointer in pointers if isinstance(pointer.type, ir.MemRefType)}
    reads: set[Any] = set()
    writes: set[Any] = set()

    def look(op: Any) -> None:
        for operand in op.operands:
            origin = origins.get(operand)
            if origin is None:
                continue
            if op.name in _VIEWS:
                origins[op.results[0]] = origin
                continue
            if op.name not in _WRITES:
                reads.add(origin)
            if op.name not in _READS:
                writes.add(origin)

    def visit(op: Any) -> Any:
        look(op)
        return ir.WalkResult.ADVANCE

    for view in views:
        look(view)
    root.walk(visit, ir.WalkOrder.PRE_ORDER)
    return {pointer for pointer in origins.values() if not (pointer in reads and pointer in writes)}


def align_vectors(root: Any, unaligned: Iterable[Any]) -> None:
    """Promise for vector accesses in ``root`` that they lie at multiples of their size, up to 16 bytes.

    Leaves those alone that say what they are aligned to, and those through the pointers ``unaligned``.
    """
    excluded = set(unaligned)

    def visit(op: Any) -> Any:
        if op.name in _ACCESSES and "alignment" not in op.attributes:
            base = op.operands[_ACCESSES[op.name]]
            vector = op.results[0].type if op.name == "vector.load" else op.operands[0].type
            size = vector.shape[0] * vector.element_type.width // 8
            # The power of two in it: three elements are no aligned access.
            alignment = min(size & -size, _WIDEST)
            if origin_of(base) not in excluded and alignment > 1:
                op.attributes["alignment"] = ir.IntegerAttr.get(ir.IntegerType.get_signless(64, op.context), alignment)
        return ir.WalkResult.ADVANCE

    root.walk(visit)


def origin_of(buffer: Any) -> Any:
    """Return the buffer that a chain of views starts from."""
    while not isinstance(buffer.owner, ir.Block) and buffer.owner.operation.name in _VIEWS:
        buffer = buffer.owner.operation.operands[0]
    return buffer
