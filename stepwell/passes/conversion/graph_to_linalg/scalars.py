"""Scalar types and constants inside the bodies of structured ops."""

from typing import Any

from stepwell.support.bindings import arith, ir, linalg
from stepwell.support.dtypes import DType


def element_type(dtype: DType) -> Any:
    """Return the element type at the linalg stage, where integers carry no sign."""
    return ir.Type.parse("i8" if dtype is DType.UINT8 else dtype.mlir)


def compute_type(dtype: DType) -> Any:
    """Return the type that scalar code computes in: float32 for floats of 16 and 8 bits, else the element type."""
    return ir.F32Type.get() if dtype.is_narrow_float else element_type(dtype)


def widen(scalar: Any) -> Any:
    """Extend a float of 16 or 8 bits to float32; leave other scalars alone."""
    if isinstance(scalar.type, ir.FloatType) and ir.FloatType(scalar.type).width < 32:
        return arith.extf(ir.F32Type.get(), scalar)
    return scalar


def narrow(scalar: Any, dtype: DType, *, exactly: bool = False) -> Any:
    """Round a float32 scalar to a ``dtype`` of 16 or 8 bits; leave other scalars alone.

    ``exactly`` names the rounding mode, which keeps ``elide-roundings`` from leaving it out.
    """
    target = element_type(dtype)
    if scalar.type != target and dtype.is_narrow_float:
        return arith.truncf(target, scalar, roundingmode=arith.RoundingMode.to_nearest_even if exactly else None)
    return scalar


def constant(value: float | int | bool, kind: Any) -> Any:
    """Return a scalar constant of an MLIR type."""
    if isinstance(kind, ir.FloatType):
        return arith.constant(kind, float(value))
    return arith.constant(kind, int(value))


def loop_index(dim: int) -> Any:
    """Return the number of the current iteration of loop ``dim`` as an index, inside the body of a structured op."""
    return linalg.IndexOp(dim).result
