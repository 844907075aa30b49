"""Which shapes and types of matrix instructions exist, and how many registers their fragments take."""

import re
from dataclasses import dataclass

from stepwell.runtime.simulator.matrices.formats import BITS

_SHAPE = re.compile(r"m(\d+)n(\d+)k(\d+)")

MMA_SHAPES = {
    "f16": {(16, 8, 8), (16, 8, 16)},
    "bf16": {(16, 8, 8), (16, 8, 16)},
    "tf32": {(16, 8, 4), (16, 8, 8)},
    "s8": {(8, 8, 16), (16, 8, 16), (16, 8, 32)},
    "u8": {(8, 8, 16), (16, 8, 16), (16, 8, 32)},
    "e4m3": {(16, 8, 16), (16, 8, 32)},
    "e5m2": {(16, 8, 16), (16, 8, 32)},
    "f64": {(8, 8, 4), (16, 8, 4), (16, 8, 8), (16, 8, 16)},
}
"""Shapes (m, n, k) of mma.sync by the type of A; PTX ISA, "mma", without m8n8k4 of f16, sub-byte types and .sp."""

ACCUMULATORS = {
    **dict.fromkeys(("f16", "e4m3", "e5m2"), ("f16", "f32")),
    **dict.fromkeys(("bf16", "tf32"), ("f32",)),
    **dict.fromkeys(("s8", "u8"), ("s32",)),
    "f64": ("f64",),
}
"""Types of C and D by the type of A; PTX ISA, "mma" and "wgmma.mma_async"."""


@dataclass(frozen=True)
class MatrixShape:
    """The extents of a product."""

    m: int
    n: int
    k: int

    @classmethod
    def parse(cls, word: str) -> "MatrixShape | None":
        """Read a modifier such as "m16n8k16"; None where it is something else."""
        found = _SHAPE.fullmatch(word)
        return None if found is None else cls(*map(int, found.groups()))


def wgmma_problem(shape: MatrixShape, kind: str) -> str:
    """Return why wgmma has no such shape, or ""; PTX ISA, "Asynchronous Warpgroup Level Matrix Shape"."""
    if kind not in BITS or kind == "f64":
        return f"multiplicands of type .{kind} are not supported"
    if shape.m != 64 or shape.k * BITS[kind] != 256:
        return f"the shape of .{kind} is m64nNk{256 // BITS[kind]}"
    integer = kind in ("s8", "u8")
    if not 8 <= shape.n <= 256 or shape.n % 8 or (integer and shape.n > 32 and shape.n % 16):
        return f"n = {shape.n} is not among the sizes of .{kind}"
    return ""
