"""Tests of indices, and code that runs only where they hold."""

from collections.abc import Callable, Sequence
from typing import Any, Literal

from stepwell.passes.schedules.code import Code
from stepwell.support.bindings import ir
from stepwell.support.symbolic import Expr

# The numbers of arith.cmpi.
_PREDICATES = {"eq": 0, "slt": 2, "sge": 5, "ult": 6}


def compare(code: Code, predicate: Literal["eq", "slt", "sge", "ult"], a: Expr, b: Expr) -> Any:
    """Return whether ``a`` and ``b`` are as ``predicate`` says; a vector where lanes differ."""
    number = ir.IntegerAttr.get(ir.IntegerType.get_signless(64), _PREDICATES[predicate])
    operands = (code.index(a), code.index(b))
    return code.pointwise("arith.cmpi", operands, ir.IntegerType.get_signless(1), {"predicate": number})


def less(code: Code, a: Expr, b: Expr) -> Any:
    """Return whether ``a < b``; a constant where that is known."""
    if code.ranges.less(a, b):
        return code.constant(ir.IntegerAttr.get(ir.IntegerType.get_signless(1), 1))
    return compare(code, "slt", a, b)


def both(code: Code, a: Any, b: Any) -> Any:
    """Return whether two conditions hold, either of which may be None for true."""
    if a is None or b is None:
        return b if a is None else a
    return code.pointwise("arith.andi", (a, b), ir.IntegerType.get_signless(1))


def when(code: Code, condition: Any, then: Callable[[], object]) -> None:
    """Write ``then`` for where ``condition`` holds; None is always."""
    if condition is None:
        then()
    else:
        either(code, condition, then, lambda: None)


def where(code: Code, conditions: Sequence[tuple[Expr, Expr]], then: Callable[[], object]) -> None:
    """Write ``then`` for when the first of each pair is less than the second; without a test where that is known."""
    total = None
    for a, b in conditions:
        if not code.ranges.less(a, b):
            total = both(code, total, less(code, a, b))
    when(code, total, then)


def either(code: Code, condition: Any, then: Callable[[], object], otherwise: Callable[[], object]) -> None:
    """Write an if whose sides give no values."""
    code.branch(condition, _nothing(then), _nothing(otherwise), [])


def _nothing(body: Callable[[], object]) -> Callable[[], Sequence[Any]]:
    """Return ``body`` as one that gives no values."""

    def write() -> Sequence[Any]:
        body()
        return ()

    return write
