"""What the body of a loop takes from outside, and how to compute it again where the body goes."""

from collections.abc import Callable, Iterable
from typing import Any

from stepwell.support.bindings import ir

_PURE_DIALECTS = ("arith", "index", "math", "ub", "affine")
_PURE_OPS = frozenset(
    {f"memref.{name}" for name in ("reinterpret_cast", "subview", "view", "cast", "dim", "get_global")}
    | {f"memref.{name}" for name in ("collapse_shape", "expand_shape", "extract_strided_metadata")}
    | {"memref.extract_aligned_pointer_as_index"}
    | {f"vector.{name}" for name in ("broadcast", "step", "create_mask", "constant_mask", "shape_cast", "bitcast")}
    | {f"vector.{name}" for name in ("extract", "insert", "from_elements", "shuffle", "fma")}
    | {f"llvm.{name}" for name in ("inttoptr", "ptrtoint", "addrspacecast", "getelementptr", "bitcast", "mlir.zero")}
)


# What choices and expansions of remainders are made of.
_CONTROL = frozenset(["scf.if", "scf.while"])
_ENDS = frozenset(["scf.yield", "scf.condition"])


def is_pure(op: Any) -> bool:
    """Tell whether ``op`` computes the same wherever its operands are known; a choice or loop of pure ops does."""
    if op.name in _CONTROL:
        inner = [child.operation for region in op.regions for block in region.blocks for child in block.operations]
        return all(child.name in _ENDS or is_pure(child) for child in inner)
    if len(op.regions):
        return False
    return op.name.partition(".")[0] in _PURE_DIALECTS or op.name in _PURE_OPS


def captured_values(loop: Any) -> list[Any]:
    """Return the values from outside that the body of ``loop`` uses, then its own operands."""
    inside: set[Any] = set()
    values: dict[Any, None] = {}

    def visit(op: Any) -> Any:
        if op != loop:
            values.update(dict.fromkeys(op.operands))
        inside.update(op.results)
        for region in op.regions:
            for block in region.blocks:
                inside.update(block.arguments)
        return ir.WalkResult.ADVANCE

    loop.walk(visit)
    values.update(dict.fromkeys(loop.operands))
    return [value for value in values if value not in inside]


def values_read(op: Any) -> list[Any]:
    """Return the values that ``op`` needs, those for its regions included."""
    return captured_values(op) if len(op.regions) else list(op.operands)


def recomputation(values: Iterable[Any], known: Iterable[Any], hand_over: Callable[[Any], None]) -> list[Any]:
    """Return the pure ops, operands before users, that compute ``values`` from ``known``.

    ``hand_over`` is called once for each value on the way that no pure op computes.
    """
    ops: list[Any] = []
    done = set(known)

    def visit(value: Any) -> None:
        if value in done:
            return
        done.add(value)
        op = None if isinstance(value.owner, ir.Block) else value.owner.operation
        if op is None or not is_pure(op):
            hand_over(value)
            return
        for operand in values_read(op):
            visit(operand)
        if op not in ops:
            ops.append(op)

    for value in values:
        visit(value)
    return ops


def recompute(ops: Iterable[Any], values: dict[Any, Any]) -> None:
    """Clone ``ops`` at the insertion point, on what ``values`` has for their operands, and add their results to it."""
    for op in ops:
        copy = op.clone()
        replace_inside(copy, values)
        values.update(zip(op.results, copy.results, strict=True))


def move_body(loop: Any, variable: Any, terminator: Any) -> None:
    """Move the ops of a parallel loop's body before ``terminator``, with ``variable`` for its index."""
    body = loop.regions[0].blocks[0]
    body.arguments[0].replace_all_uses_with(variable)
    for op in list(body.operations)[:-1]:
        op.operation.move_before(terminator.operation)


def replace_inside(root: Any, values: dict[Any, Any]) -> None:
    """Replace the operands, in all ops inside ``root``, that ``values`` has something for."""

    def visit(op: Any) -> Any:
        for position, operand in enumerate(op.operands):
            if operand in values:
                op.operands[position] = values[operand]
        return ir.WalkResult.ADVANCE

    root.operation.walk(visit)
