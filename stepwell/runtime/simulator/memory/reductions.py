"""The arithmetic of bulk reductions: how new bytes and those in memory combine.

Source: PTX ISA, "cp.reduce.async.bulk" and "cp.reduce.async.bulk.tensor".
"""

from collections.abc import Callable

import numpy as np

from stepwell.runtime.simulator.matrices.arrays import Array

_DTYPES = {
    **{name: np.dtype(name) for name in ("uint32", "int32", "uint64", "int64", "float16", "float32", "float64")},
    "bfloat16": np.dtype("u2"),
}
_PTX = {
    "u32": "uint32",
    "s32": "int32",
    "u64": "uint64",
    "s64": "int64",
    "b32": "uint32",
    "b64": "uint64",
    "f16": "float16",
    "bf16": "bfloat16",
    "f32": "float32",
    "f64": "float64",
}
OPERATIONS: dict[str, Callable[[Array, Array], Array]] = {
    "add": np.add,
    "min": np.minimum,
    "max": np.maximum,
    "inc": lambda old, limit: np.where(old >= limit, 0, old + 1).astype(old.dtype),
    "dec": lambda old, limit: np.where((old == 0) | (old > limit), limit, old - 1).astype(old.dtype),
    "and": np.bitwise_and,
    "or": np.bitwise_or,
    "xor": np.bitwise_xor,
}
"""What becomes of (old, new), by the operation's name; inc and dec wrap at the new value."""


def element_type(ptx_type: str) -> str:
    """Return the name of the element type that PTX spells so, or ""."""
    return _PTX.get(ptx_type, "")


def reduction(operation: str, dtype: str) -> Callable[[Array, Array], Array] | None:
    """Return a function from (new bytes, old bytes) to bytes [..., size]; None where the operation has no such type."""
    kind = _DTYPES.get(dtype)
    integer = dtype.startswith(("int", "uint"))
    allowed = {"add"} | ({"min", "max"} if integer or dtype in ("float16", "bfloat16") else set())
    allowed |= {"and", "or", "xor"} if integer else set()
    allowed |= {"inc", "dec"} if dtype == "uint32" else set()
    if kind is None or operation not in allowed:
        return None
    combine = OPERATIONS[operation]

    def reduce(new: Array, old: Array) -> Array:
        left, right = (np.ascontiguousarray(values).view(kind) for values in (old, new))
        with np.errstate(all="ignore"):
            rounds = dtype == "bfloat16"
            result = _narrow(combine(_wide(left), _wide(right))) if rounds else combine(left, right)
        combined: Array = result.view(np.uint8)
        return combined

    return reduce


def _wide(bits: Array) -> Array:
    return (bits.astype(np.uint32) << np.uint32(16)).view(np.float32)


def _narrow(values: Array) -> Array:
    """Round float32 to bfloat16, to the nearest, ties to even."""
    bits = values.astype(np.float32).view(np.uint32)
    rounded = bits + np.uint32(0x7FFF) + ((bits >> np.uint32(16)) & np.uint32(1))
    quiet = (bits >> np.uint32(16)) | np.uint32(0x40)
    kept: Array = np.where(np.isnan(values), quiet, rounded >> np.uint32(16)).astype(np.uint16)
    return kept
