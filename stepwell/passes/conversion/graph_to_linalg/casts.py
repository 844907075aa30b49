"""Scalar casts between element types, as torch casts them."""

from typing import Any

from stepwell.passes.conversion.graph_to_linalg.scalars import compute_type, constant
from stepwell.support.bindings import arith, ir
from stepwell.support.dtypes import DType


def cast_scalar(scalar: Any, source: DType, target: DType) -> Any:
    """Cast a scalar in ``source``'s compute type to ``target``'s compute type.

    Float to integer truncates; integer to integer wraps; anything to bool asks whether it differs from zero (NaN does).
    A 16-bit float target stays float32 here: the caller rounds it.
    """
    to = compute_type(target)
    if target is DType.BOOL:
        if source is DType.BOOL:
            return scalar
        zero = constant(0, scalar.type)
        if source.is_float:
            return arith.cmpf(arith.CmpFPredicate.UNE, scalar, zero)
        return arith.cmpi(arith.CmpIPredicate.ne, scalar, zero)
    if source.is_float:
        if target.is_float:
            return _cast_float(scalar, to)
        # Through i64, so that a negative or large value wraps in a narrow or unsigned target as it does in torch.
        wide = arith.fptosi(ir.IntegerType.get_signless(64), scalar)
        return wide if to == wide.type else arith.trunci(to, wide)
    unsigned = source in (DType.BOOL, DType.UINT8)
    if target.is_float:
        return arith.uitofp(to, scalar) if unsigned else arith.sitofp(to, scalar)
    have, want = ir.IntegerType(scalar.type).width, ir.IntegerType(to).width
    if have == want:
        return scalar
    if have > want:
        return arith.trunci(to, scalar)
    return arith.extui(to, scalar) if unsigned else arith.extsi(to, scalar)


def _cast_float(scalar: Any, to: Any) -> Any:
    have, want = ir.FloatType(scalar.type).width, ir.FloatType(to).width
    if have == want:
        return scalar
    return arith.extf(to, scalar) if have < want else arith.truncf(to, scalar)
