"""Conversions between numbers: cvt. Source: PTX ISA, "Data Movement and Conversion Instructions: cvt".

From floating point to integers: rounded as told, NaN becomes 0, values out of range become the nearest one in range.
"""

from collections.abc import Callable

import numpy as np

from stepwell.runtime.simulator.instructions.elementwise import compute
from stepwell.runtime.simulator.instructions.floating_point import flushed, saturated
from stepwell.runtime.simulator.instructions.small_floats import decode_small_conversion, is_small
from stepwell.runtime.simulator.machine.binding import Binder
from stepwell.runtime.simulator.machine.lanes import Array
from stepwell.runtime.simulator.machine.registry import Step, instruction
from stepwell.runtime.simulator.numbers import rounding
from stepwell.runtime.simulator.numbers.formats import decoder, encoder, join_pairs
from stepwell.runtime.simulator.numbers.halves import half_in_mode, round_to_tf32
from stepwell.runtime.simulator.ptx.module import Instruction
from stepwell.runtime.simulator.ptx.types import TYPES, PtxType

Function = Callable[[Array], Array]
_FLOATS = ("f16", "bf16", "f32", "f64")
_PACKED = ("f16x2", "bf16x2")
_INTEGER_MODES: dict[str, Function] = {"rni": np.rint, "rzi": np.trunc, "rmi": np.floor, "rpi": np.ceil}
_MODES = ("rn", "rz", "rm", "rp")


@instruction("cvt", group="convert")
def _convert(ins: Instruction, bind: Binder) -> Step:
    if ins.has("pack"):
        return _pack(ins, bind)
    if len(ins.types) != 2:
        bind.fail("two types are expected")
    to, source = TYPES[ins.types[0]], TYPES[ins.types[1]]
    if is_small(to) or is_small(source):
        return decode_small_conversion(ins, bind, to, source)
    if to.name in _PACKED:
        return _convert_pair(ins, bind, to)
    if to.name == "tf32":
        return _convert_tf32(ins, bind)
    bind.count(2)
    if to.name in _FLOATS and source.name in _FLOATS:
        function = _between_floats(ins, bind, to, source)
    elif to.name in _FLOATS:
        function = _from_integer(ins, bind, to)
    elif source.name in _FLOATS:
        function = _to_integer(ins, bind, to, source)
    else:
        function = _between_integers(ins, bind, to, source)
    operands = [bind.source(1, source, narrow=True)]
    return compute(bind.destination(0, to, widen=True), function, operands)


def _between_integers(ins: Instruction, bind: Binder, to: PtxType, source: PtxType) -> Function:
    bind.only("sat", to.name, source.name)
    dtype = to.dtype
    if not ins.has("sat"):
        return lambda a: a.astype(dtype)
    low = max(int(np.iinfo(dtype).min), int(np.iinfo(source.dtype).min))
    high = min(int(np.iinfo(dtype).max), int(np.iinfo(source.dtype).max))
    return lambda a: np.clip(a, a.dtype.type(low), a.dtype.type(high)).astype(dtype)


def _from_integer(ins: Instruction, bind: Binder, to: PtxType) -> Function:
    source = TYPES[ins.types[1]]
    mode = ins.one_of(*_MODES)
    if not mode:
        bind.fail("a rounding mode is missing")
    bind.only(mode, "sat", "ftz", *ins.types)
    if to.name in ("f16", "bf16"):
        if mode != "rn" and to.name == "bf16":
            bind.fail(f"the rounding mode '.{mode}' is not supported for .bf16")
        # float64 holds every 32-bit integer; of 64 bits, what it drops is kept as an odd last bit.
        function: Function = _half_from_integer(to, mode)
    elif mode == "rn":
        function = lambda a: a.astype(to.dtype)  # noqa: E731
    elif source.bits < 64 and to.name == "f64":
        function = lambda a: a.astype(np.float64)  # noqa: E731
    elif to.name == "f32":
        function = lambda a: rounding.single(_odd_double(a), mode)  # noqa: E731
    else:
        function = lambda a: rounding.directed(a.astype(np.float64), _integer_error(a), mode)  # noqa: E731
    if not ins.has("sat"):
        return function
    decode, encode = decoder(to), encoder(to)
    return lambda a: encode(saturated(decode(function(a))))


def _half_from_integer(to: PtxType, mode: str) -> Function:
    encode = encoder(to)
    if mode == "rn":
        return lambda a: encode(_odd_double(a))
    return lambda a: half_in_mode(_odd_double(a), mode)


def _integer_error(a: Array) -> Array:
    """Return the sign of what a 64-bit integer loses in float64."""
    wide = a.astype(np.float64)
    high = a >> a.dtype.type(32)
    low = (a & a.dtype.type(0xFFFFFFFF)).astype(np.float64)
    error: Array = rounding.two_sum(high.astype(np.float64) * 2.0**32, low)[1]
    return np.where(wide == high.astype(np.float64) * 2.0**32 + low, error, 0.0)


def _odd_double(a: Array) -> Array:
    if a.dtype.itemsize < 8:
        return a.astype(np.float64)
    return rounding.to_odd(a.astype(np.float64), _integer_error(a))


def _to_integer(ins: Instruction, bind: Binder, to: PtxType, source: PtxType) -> Function:
    mode = ins.one_of(*_INTEGER_MODES)
    if not mode:
        bind.fail("an integer rounding mode (.rni, .rzi, .rmi, .rpi) is missing")
    bind.only(mode, "sat", "ftz", *ins.types)
    whole, decode, dtype = _INTEGER_MODES[mode], decoder(source), to.dtype
    info = np.iinfo(dtype)
    low, high = float(info.min), float(info.max)
    wide = to.bits == 64
    flush = ins.has("ftz") and source.name == "f32"

    def function(a: Array) -> Array:
        values = decode(a)
        rounded = whole(flushed(values) if flush else values).astype(np.float64)
        rounded = np.where(np.isnan(rounded), 0.0, rounded)
        over = rounded >= high if wide else rounded > high
        inside = np.clip(rounded, low, high)
        result: Array = np.where(over, 0.0, inside).astype(dtype)
        return np.where(over, dtype.type(info.max), result) if over.any() else result

    return function


def _between_floats(ins: Instruction, bind: Binder, to: PtxType, source: PtxType) -> Function:
    whole = ins.one_of(*_INTEGER_MODES)
    mode = ins.one_of(*_MODES)
    bind.only(whole or mode, "sat", "ftz", "relu", *ins.types)
    if to.bits < source.bits and not (mode or whole):
        bind.fail("a rounding mode is missing")
    decode = decoder(source)
    narrowing = _narrowing(bind, to, source, mode or "rn")

    def function(a: Array) -> Array:
        values = decode(a)
        if ins.has("ftz") and source.name == "f32":
            values = flushed(values)
        if whole:
            values = _INTEGER_MODES[whole](values)
        if ins.has("relu"):
            values = np.where(values > 0, values, np.where(np.isnan(values), values, values.dtype.type(0)))
        if ins.has("sat"):
            values = saturated(values)
        result = narrowing(values)
        return flushed(result) if ins.has("ftz") and to.name == "f32" else result

    return function


def _narrowing(bind: Binder, to: PtxType, source: PtxType, mode: str) -> Function:
    """Return the function from decoded values to the type."""
    if to.name == "f64":
        return lambda values: values.astype(np.float64)
    if to.name == "f32":
        if source.name == "f64":
            return lambda values: rounding.single(values, mode)
        return lambda values: values.astype(np.float32, copy=False)
    if mode == "rn":
        encode = encoder(to)
        if to.name == "bf16" and source.name == "f64":
            return lambda values: encode(rounding.odd_single(values))
        return encode
    if to.name == "bf16" and mode not in ("rz",):
        bind.fail(f"the rounding mode '.{mode}' is not supported for .bf16")
    if to.name == "bf16":
        return lambda values: half_in_mode(values.astype(np.float64), mode, brain=True)
    return lambda values: half_in_mode(values.astype(np.float64), mode)


def _convert_pair(ins: Instruction, bind: Binder, to: PtxType) -> Step:
    """cvt to a packed type: the first operand is the upper half."""
    mode = ins.one_of("rn", "rz")
    if ins.types[1] != "f32" or not mode:
        bind.fail("two operands of type .f32 and .rn or .rz are expected")
    bind.only(mode, "relu", "satfinite", *ins.types)
    bind.count(3)
    brain = to.name == "bf16x2"
    element = TYPES["bf16" if brain else "f16"]
    encode = encoder(element)
    largest = np.float32(3.3895314e38 if brain else 65504.0)

    def half(values: Array) -> Array:
        if ins.has("relu"):
            values = np.where(values <= 0, np.float32(0), values)
        if ins.has("satfinite"):
            values = np.where(np.isnan(values), values, np.clip(values, -largest, largest))
        if mode == "rz":
            return half_in_mode(values.astype(np.float64), "rz", brain=brain).view(np.uint16)
        return encode(values).view(np.uint16)

    def function(high: Array, low: Array) -> Array:
        pair = np.stack(np.broadcast_arrays(half(low), half(high)), axis=-1)
        return join_pairs(pair, "u4")

    return compute(bind.destination(0, to), function, [bind.source(1, "f32"), bind.source(2, "f32")])


def _convert_tf32(ins: Instruction, bind: Binder) -> Step:
    mode = ins.one_of("rna", "rn", "rz")
    if ins.types[1] != "f32" or not mode:
        bind.fail("an operand of type .f32 and one of .rna, .rn, .rz are expected")
    bind.only(mode, "relu", "satfinite", *ins.types)
    if ins.has("satfinite"):
        bind.fail("the modifier '.satfinite' is not supported for .tf32")
    bind.count(2)

    def function(a: Array) -> Array:
        if ins.has("relu"):
            a = np.where(a <= 0, np.float32(0), a)
        return round_to_tf32(a, mode)

    return compute(bind.destination(0, "b32"), function, [bind.source(1, "f32")])


def _pack(ins: Instruction, bind: Binder) -> Step:
    """cvt.pack: two integers, saturated, side by side, with a third operand shifted up for 8-bit and narrower ones."""
    if len(ins.types) not in (2, 3) or ins.types[1] != "s32" or ins.types[0] not in ("u16", "s16", "u8", "s8"):
        bind.fail("this combination of types is not supported")
    bind.only("pack", "sat", *ins.types)
    bind.count(4 if len(ins.types) == 3 else 3)
    to = TYPES[ins.types[0]]
    info, mask, width = np.iinfo(to.dtype), np.uint32((1 << to.bits) - 1), np.uint32(to.bits)

    def function(a: Array, b: Array, *c: Array) -> Array:
        high, low = (np.clip(one, info.min, info.max).astype(np.uint32) & mask for one in (a, b))
        joined: Array = (high << width) | low
        return joined if not c or to.bits != 8 else joined | (c[0] << np.uint32(16))

    operands = [bind.source(1, "s32"), bind.source(2, "s32")]
    operands += [bind.source(3, "b32")] if len(ins.types) == 3 else []
    return compute(bind.destination(0, "b32"), function, operands)
