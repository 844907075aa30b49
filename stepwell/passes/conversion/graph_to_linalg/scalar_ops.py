"""Scalar code that several op families use: comparisons, selections and checked integer divisions."""

from typing import Any

from stepwell.passes.conversion.graph_to_linalg.scalars import constant
from stepwell.support.bindings import arith, cf, ir, math
from stepwell.support.dtypes import DType

_UNSIGNED = (DType.UINT8, DType.BOOL)
# Relation -> (float, signed, unsigned) predicate.  Float relations are false with NaN, "ne" is true.
_PREDICATES = {
    "eq": ("OEQ", "eq", "eq"),
    "ne": ("UNE", "ne", "ne"),
    "lt": ("OLT", "slt", "ult"),
    "le": ("OLE", "sle", "ule"),
    "gt": ("OGT", "sgt", "ugt"),
    "ge": ("OGE", "sge", "uge"),
}


def is_unsigned(dtype: DType) -> bool:
    """True for uint8 and bool."""
    return dtype in _UNSIGNED


def like(scalar: Any, value: float) -> Any:
    """Return a constant of the scalar's type."""
    return constant(value, scalar.type)


def compare(relation: str, x: Any, y: Any, dtype: DType) -> Any:
    """Return ``x relation y`` for scalars of ``dtype``; ``relation`` is eq, ne, lt, le, gt or ge."""
    ordered, signed, unsigned = _PREDICATES[relation]
    if dtype.is_float:
        return arith.cmpf(getattr(arith.CmpFPredicate, ordered), x, y)
    return arith.cmpi(getattr(arith.CmpIPredicate, unsigned if is_unsigned(dtype) else signed), x, y)


def is_nan(x: Any) -> Any:
    """Return whether a float is NaN."""
    return arith.cmpf(arith.CmpFPredicate.UNO, x, x)


def is_infinite(x: Any) -> Any:
    """Return whether a float is infinite."""
    return arith.cmpf(arith.CmpFPredicate.OEQ, math.absf(x), like(x, float("inf")))


def negate(x: Any) -> Any:
    """Return ``-x``."""
    return arith.negf(x) if isinstance(x.type, ir.FloatType) else arith.subi(like(x, 0), x)


def both(x: Any, y: Any) -> Any:
    """Return the logical and of two conditions."""
    return arith.andi(x, y)


def negation(condition: Any) -> Any:
    """Return the logical not of a condition."""
    return arith.xori(condition, like(condition, 1))


def differing_signs(x: Any, y: Any) -> Any:
    """Return whether exactly one of two signed integers is negative."""
    return arith.cmpi(arith.CmpIPredicate.slt, arith.xori(x, y), like(x, 0))


def check_divisor(y: Any, what: str) -> None:
    """Report a zero integer divisor at run time."""
    nonzero = arith.cmpi(arith.CmpIPredicate.ne, y, like(y, 0))
    cf.assert_(nonzero, f"integer-division-by-zero: {what}")


def divide_integers(x: Any, y: Any, dtype: DType) -> Any:
    """Return the quotient rounded to zero; it never traps: by zero it is ``x``, and by -1 the negation, which wraps."""
    zero, one = like(y, 0), like(y, 1)
    if is_unsigned(dtype):
        safe = arith.select(arith.cmpi(arith.CmpIPredicate.eq, y, zero), one, y)
        return arith.divui(x, safe)
    minus = arith.cmpi(arith.CmpIPredicate.eq, y, like(y, -1))
    trap = arith.ori(minus, arith.cmpi(arith.CmpIPredicate.eq, y, zero))
    quotient = arith.divsi(x, arith.select(trap, one, y))
    return arith.select(minus, negate(x), quotient)


def integer_remainder(x: Any, y: Any, dtype: DType) -> Any:
    """Return what ``divide_integers`` leaves; it has the sign of ``x``, and never traps."""
    return arith.subi(x, arith.muli(divide_integers(x, y, dtype), y))
