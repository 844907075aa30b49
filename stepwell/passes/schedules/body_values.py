"""What the values in the body of a linalg.generic are: questions that matchers of whole computations ask."""

from typing import Any

from stepwell.passes.schedules.kernel import defining
from stepwell.support.bindings import ir

EXTENSIONS = frozenset({"arith.extf"})
CASTS = EXTENSIONS | {"arith.truncf"}


def uncast(value: Any, casts: frozenset[str] = CASTS) -> Any:
    """Return what a body value is a cast of, ops other than ``casts`` aside."""
    while not isinstance(value.owner, ir.Block) and value.owner.operation.name in casts:
        value = value.owner.operation.operands[0]
    return value


def scalar_number(value: Any) -> float | None:
    """Return the number that a constant floating-point scalar is, or None."""
    op = defining(value)
    if op is None or op.name != "arith.constant":
        return None
    return float_of(op.attributes["value"])


def float_of(attribute: Any) -> float | None:
    """Return the number that an attribute holds, or None."""
    return float(attribute.value) if isinstance(attribute, ir.FloatAttr) else None


def starts_from(op: Any, start: float) -> bool:
    """Tell whether the accumulator of a reduction is filled with ``start`` at first."""
    fill = defining(op.operands[len(op.operands) - 1])
    return fill is not None and fill.name == "linalg.fill" and scalar_number(fill.operands[0]) == start
