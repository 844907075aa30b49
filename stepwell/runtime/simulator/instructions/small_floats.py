"""Conversions from and to the 8-bit floating-point formats. Source: PTX ISA, cvt; OCP 8-bit Floating Point
Specification.

e4m3 has a 4-bit exponent, no infinities and one NaN (all ones but the sign); e5m2 is IEEE-like.
"""

from collections.abc import Callable

import numpy as np

from stepwell.runtime.simulator.instructions.elementwise import compute
from stepwell.runtime.simulator.machine.binding import Binder
from stepwell.runtime.simulator.machine.lanes import Array
from stepwell.runtime.simulator.machine.registry import Step
from stepwell.runtime.simulator.numbers.formats import join_pairs, split_pairs
from stepwell.runtime.simulator.ptx.module import Instruction
from stepwell.runtime.simulator.ptx.types import PtxType

_SMALL = ("e4m3x2", "e5m2x2")
_MANTISSA = {"e4m3x2": 3, "e5m2x2": 2}
_BIAS = {"e4m3x2": 7, "e5m2x2": 15}
_LARGEST = {"e4m3x2": 448.0, "e5m2x2": 57344.0}
_NAN = 0x7F


def is_small(kind: PtxType) -> bool:
    """Whether a type's elements are narrower than 16 bits and floating-point."""
    return kind.name.startswith(("e4m3", "e5m2", "e2m", "e3m", "ue8m0"))


def _table(name: str) -> Array:
    """Return the 256 values of a format, as float32."""
    mantissa, bias = _MANTISSA[name], _BIAS[name]
    bits = np.arange(256)
    exponent, fraction = (bits & 0x7F) >> mantissa, bits & ((1 << mantissa) - 1)
    normal = (1 + fraction / 2**mantissa) * 2.0 ** (exponent - bias)
    size = np.where(exponent == 0, fraction / 2**mantissa * 2.0 ** (1 - bias), normal)
    if name == "e4m3x2":
        size = np.where((bits & 0x7F) == _NAN, np.nan, size)
    else:
        top = exponent == 31
        size = np.where(top & (fraction == 0), np.inf, np.where(top, np.nan, size))
    return np.where(bits & 0x80, -size, size).astype(np.float32)


def _encode(values: Array, name: str) -> Array:
    """Return float32 values as bits, rounded to nearest even, finite values beyond the largest made that one."""
    table = _table(name)[:128].astype(np.float64)
    finite = np.flatnonzero(np.isfinite(table))
    known = table[finite]
    size = np.minimum(np.abs(values.astype(np.float64)), _LARGEST[name])
    above = np.clip(np.searchsorted(known, size), 1, len(known) - 1)
    low, high = known[above - 1], known[above]
    # The code of a value is its place in the table, so its last bit tells even from odd.
    upward = (size - low > high - size) | ((size - low == high - size) & (above % 2 == 0))
    code = np.where(np.isnan(values), _NAN, np.where(upward, above, above - 1))
    bits: Array = (code | (np.signbit(values) & ~np.isnan(values)) * 0x80).astype(np.uint8)
    return bits


def decode_small_conversion(ins: Instruction, bind: Binder, to: PtxType, source: PtxType) -> Step:
    """Decode a conversion of two elements from or to an 8-bit format."""
    if to.name in _SMALL and source.name in ("f32", "f16x2"):
        return _narrow(ins, bind, to, source)
    if to.name != "f16x2" or source.name not in _SMALL:
        bind.fail("this combination of types is not supported")
    bind.only("rn", "relu", *ins.types)
    bind.count(2)
    table = _table(source.name).astype(np.float16)

    def widen(a: Array) -> Array:
        values = table[split_pairs(a, "u1")]
        if ins.has("relu"):
            values = np.where(values <= 0, np.float16(0), values)
        return join_pairs(values, "u4")

    return compute(bind.destination(0, to), widen, [bind.source(1, "b16")])


def _narrow(ins: Instruction, bind: Binder, to: PtxType, source: PtxType) -> Step:
    if not ins.has("satfinite") or not ins.has("rn"):
        bind.fail(".rn and .satfinite are expected")
    bind.only("rn", "satfinite", "relu", *ins.types)
    name = to.name

    def encode(values: Array) -> Array:
        if ins.has("relu"):
            values = np.where(values <= 0, np.float32(0), values)
        return _encode(values, name)

    if source.name == "f16x2":
        bind.count(2)
        function: Callable[..., Array] = lambda a: join_pairs(encode(split_pairs(a, "f2").astype(np.float32)), "u2")  # noqa: E731
        operands = [bind.source(1, "f16x2")]
    else:
        bind.count(3)

        def function(high: Array, low: Array) -> Array:
            return join_pairs(np.stack(np.broadcast_arrays(encode(low), encode(high)), axis=-1), "u2")

        operands = [bind.source(1, "f32"), bind.source(2, "f32")]
    return compute(bind.destination(0, "b16"), function, operands)
