"""How much floating-point arithmetic a kernel does, counted on its linalg form."""

from typing import Any

from stepwell.passes.schedules.kernel import Kernel, Refusal, indexing_maps, iterator_types
from stepwell.support.bindings import ir
from stepwell.support.symbolic import Expr

_FLOAT_OPS = ("addf", "subf", "mulf", "divf", "remf", "negf", "maximumf", "minimumf", "maxnumf", "minnumf")
_COUNTS = {f"arith.{name}": 1 for name in _FLOAT_OPS} | {"math.fma": 2}
# Moves and tests of bits, no arithmetic.
_FREE = ("math.absf", "math.copysign", "math.isnan", "math.isinf", "math.isfinite")


def count_flops(function: Any) -> Expr | None:
    """Return the operations of one launch of a kernel function at stage ``kernels``, over the program's symbols.

    An addition, a division, an exponential count one each, whatever they cost.  None where a loop's length is not known
    before the launch.
    """
    try:
        kernel = Kernel.of(function)
        total = _count_block(kernel, function.regions[0].blocks[0])
    except Refusal:
        return None
    # The view gives names in parentheses to sizes that it need not look into.
    names = {name: Expr.parse(name) for name in total.symbols if name.startswith("(")}
    return total.substitute(names)


def _count_block(kernel: Kernel, block: Any) -> Expr:
    total = Expr.const(0)
    for op in block.operations:
        total = total + _count_op(kernel, op.operation)
    return total


def _count_op(kernel: Kernel, op: Any) -> Expr:
    if op.name == "linalg.generic":
        body = _count_block(kernel, op.regions[0].blocks[0])
        if body == Expr.const(0):
            return body
        for extent in _extents(kernel, op):
            body = body * extent
        return body
    if op.name == "scf.for":
        body = _count_block(kernel, op.regions[0].blocks[0])
        if body == Expr.const(0):
            return body
        low, high, step = (kernel.expr(value) for value in list(op.operands)[:3])
        return body * ((high - low + step - 1) // step)
    inside = Expr.const(_COUNTS.get(op.name, int(op.name.startswith("math.") and op.name not in _FREE)))
    for region in op.regions:
        for block in region.blocks:
            inside = inside + _count_block(kernel, block)
    if inside != Expr.const(0) and op.name in ("scf.while", "scf.forall", "scf.parallel"):
        raise Refusal(f"'{op.name}' runs a number of times that is not counted")
    return inside


def _extents(kernel: Kernel, op: Any) -> list[Expr]:
    """Return the length of each loop of a linalg.generic, from an operand that it runs along."""
    extents: list[Expr | None] = [None] * len(iterator_types(op))
    for value, affine in zip(op.operands, indexing_maps(op), strict=True):
        if not affine.results:
            continue
        for result, size in zip(affine.results, kernel.shape(value), strict=True):
            if isinstance(result, ir.AffineDimExpr) and extents[result.position] is None:
                extents[result.position] = size
    known = [extent for extent in extents if extent is not None]
    if len(known) != len(extents):
        raise Refusal("no operand tells the length of a loop")
    return known
