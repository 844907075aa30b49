"""The fundamental types of PTX and their numpy equivalents."""

from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True, slots=True)
class PtxType:
    """A fundamental or packed type.

    Attributes:
        name: spelling without the dot.
        bits: width of a register or memory cell of that type.
        kind: "u" unsigned, "s" signed, "b" untyped bits, "f" floating point, "x" packed or alternate, "p" predicate.
        dtype: how the simulator holds a value; packed and alternate floating types are held as bits.
    """

    name: str
    bits: int
    kind: str
    dtype: np.dtype[Any]

    @property
    def bytes(self) -> int:
        """Width in bytes."""
        return self.bits // 8


def _type(name: str, bits: int, kind: str, dtype: str) -> PtxType:
    return PtxType(name, bits, kind, np.dtype(dtype))


_UNSIGNED = {8: "u1", 16: "u2", 32: "u4", 64: "u8"}

TYPES: dict[str, PtxType] = {
    entry.name: entry
    for entry in (
        *(_type(f"{kind}{bits}", bits, kind, name) for bits, name in _UNSIGNED.items() for kind in "ub"),
        *(_type(f"s{bits}", bits, "s", f"i{bits // 8}") for bits in _UNSIGNED),
        *(_type(f"f{bits}", bits, "f", f"f{bits // 8}") for bits in (16, 32, 64)),
        _type("bf16", 16, "x", "u2"),
        *(_type(name, 32, "x", "u4") for name in ("f16x2", "bf16x2", "tf32", "u16x2", "s16x2", "u8x4", "s8x4")),
        *(_type(name, 8, "x", "u1") for name in ("e4m3", "e5m2", "ue8m0", "e2m1", "e2m3", "e3m2")),
        *(_type(name, 16, "x", "u2") for name in ("e4m3x2", "e5m2x2", "ue8m0x2", "e2m3x2", "e3m2x2")),
        _type("f32x2", 64, "x", "u8"),
        _type("b128", 128, "b", "V16"),
        _type("pred", 8, "p", "bool"),
    )
}
"""Every type that a modifier or a directive can name."""

STORAGE: dict[int, np.dtype[Any]] = {bits: np.dtype(name) for bits, name in _UNSIGNED.items()}
"""Unsigned dtype of a width."""
