"""Positions that come from data: checked against a size, wrapped where torch wraps them, and always safe to use.

A position out of range reports ``index-out-of-range`` and becomes 0, so that no access leaves its tensor.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from stepwell.passes.conversion.graph_to_linalg.lowering import Builder, Tensor, constant
from stepwell.passes.conversion.graph_to_linalg.rearrange import extract_guarded, index_constant
from stepwell.support.bindings import arith, cf, ir, scf, tensor
from stepwell.support.symbolic import Expr


@dataclass(frozen=True)
class Position:
    """A safe index value, whether it was in range, and whether 0 may lie outside because the size may be 0."""

    value: Any
    valid: Any
    maybe_empty: bool


def check_position(build: Builder, scalar: Any, size: Expr, what: str, *, wrap: bool = False) -> Position:
    """Check an integer scalar against ``size``.

    Args:
        build: the function under construction.
        scalar: an i64 or i32 value.
        size: the number of positions.
        what: name of the op, for the message.
        wrap: negative values count from the end.
    """
    zero, limit = index_constant(0), build.size(size)
    raw = arith.index_cast(ir.IndexType.get(), scalar)
    if wrap:
        negative = arith.cmpi(arith.CmpIPredicate.slt, raw, zero)
        raw = arith.select(negative, arith.addi(raw, limit), raw)
    # As unsigned numbers, negative values are larger than any size.
    valid = arith.cmpi(arith.CmpIPredicate.ult, raw, limit)
    cf.assert_(valid, f"index-out-of-range: {what}")
    return Position(arith.select(valid, raw, zero), valid, not (size.is_constant and size.constant > 0))


def _validity(places: Sequence[Any]) -> Any:
    """Return the condition under which ``places`` may be used, or None where they always may."""
    condition = None
    for place in places:
        if isinstance(place, Position) and place.maybe_empty:
            condition = place.valid if condition is None else arith.andi(condition, place.valid)
    return condition


def _values(places: Sequence[Any]) -> list[Any]:
    return [place.value if isinstance(place, Position) else place for place in places]


def read_at(item: Tensor, places: Sequence[Any]) -> Any:
    """Read an element; ``places`` holds a Position or an index value per dimension.  An invalid read may give 0."""
    condition = _validity(places)
    if condition is None:
        return tensor.extract(item.value, _values(places))
    zero = constant(0, ir.RankedTensorType(item.value.type).element_type)
    return extract_guarded(item, _values(places), condition, zero)


def write_at(scalar: Any, into: Any, places: Sequence[Any]) -> Any:
    """Write a scalar into a tensor value, where ``places`` are valid; returns the tensor."""
    condition = _validity(places)
    if condition is None:
        return tensor.insert(scalar, into, _values(places))
    branch = scf.IfOp(condition, [into.type], has_else=True)
    with ir.InsertionPoint(branch.then_block):
        scf.yield_([tensor.insert(scalar, into, _values(places))])
    with ir.InsertionPoint(branch.else_block):
        scf.yield_([into])
    return branch.results[0]
