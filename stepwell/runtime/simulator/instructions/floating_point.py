"""Floating-point arithmetic on one format: add, sub, mul, fma, min, max, abs, neg, copysign, testp.

Source: PTX ISA, "Floating Point Instructions", "Half Precision Floating Point Instructions", "Mixed Precision ...".
NaN results are some NaN: their payload is not modelled, except by min and max, whose NaN is the canonical one.
"""

from collections.abc import Callable
from functools import partial

import numpy as np

from stepwell.runtime.simulator.instructions.elementwise import compute, sources
from stepwell.runtime.simulator.machine.binding import Binder, Source
from stepwell.runtime.simulator.machine.lanes import Array
from stepwell.runtime.simulator.machine.registry import Step, instruction
from stepwell.runtime.simulator.numbers import rounding
from stepwell.runtime.simulator.numbers.formats import decoder, encoder
from stepwell.runtime.simulator.ptx.module import Instruction
from stepwell.runtime.simulator.ptx.types import PtxType

ALL = ("f16", "f16x2", "bf16", "bf16x2", "f32", "f32x2", "f64")
HALVES = ("f16", "f16x2", "bf16", "bf16x2")
MODES = ("rn", "rz", "rm", "rp")
Function = Callable[..., Array]


def flushed(values: Array) -> Array:
    """Return float32 values with subnormal ones made zeros of the same sign."""
    small = (np.abs(values) < np.float32(2.0**-126)) & (values != 0)
    return np.where(small, np.copysign(np.float32(0), values), values) if small.any() else values


def saturated(values: Array) -> Array:
    """Return values clamped to [0, 1]; NaN becomes 0."""
    kind = values.dtype.type
    clamped: Array = np.minimum(np.maximum(np.where(np.isnan(values), kind(0), values), kind(0)), kind(1)) + kind(0)
    return clamped


def modified(function: Function, ins: Instruction, kind: PtxType) -> Function:
    """Wrap a function on decoded values by what .ftz, .sat and .relu ask for, and by the type's format."""
    if ins.has("ftz") and kind.name in ("f32", "f32x2"):
        plain = function

        def function(*values: Array) -> Array:
            return flushed(plain(*map(flushed, values)))

    if ins.has("sat"):
        unclamped = function

        def function(*values: Array) -> Array:
            return saturated(unclamped(*values))

    if ins.has("relu"):
        signed = function

        def function(*values: Array) -> Array:
            result = signed(*values)
            return np.where(result <= 0, result.dtype.type(0), result)

    if kind.name in ("f32", "f64"):
        return function
    decode, encode = decoder(kind), encoder(kind)
    inner = function
    return lambda *frames: encode(inner(*map(decode, frames)))


def rounding_mode(ins: Instruction, bind: Binder, kind: PtxType, *, required: bool = False) -> str:
    """Return the instruction's rounding mode; refuse one that the type does not have, or a missing one."""
    mode = ins.one_of(*MODES)
    if kind.name in HALVES and mode not in ("", "rn"):
        bind.fail(f".{kind.name} has no rounding mode '.{mode}'")
    if required and not mode and kind.name not in HALVES:
        bind.fail("a rounding mode is missing")
    return mode or "rn"


def _add(kind: PtxType, mode: str) -> Function:
    if mode == "rn":
        return np.add
    if kind.name == "f64":
        return lambda a, b: rounding.directed(a + b, rounding.double_error("add", a + b, a, b), mode)
    return partial(rounding.add_single, mode=mode)


def _multiply(kind: PtxType, mode: str) -> Function:
    if mode == "rn":
        return np.multiply
    if kind.name == "f64":
        return lambda a, b: rounding.directed(a * b, rounding.double_error("mul", a * b, a, b), mode)
    return partial(rounding.multiply_single, mode=mode)


def _fma(kind: PtxType, mode: str) -> Function:
    if kind.name == "f64":
        if mode == "rn":
            return rounding.fma_double

        def in_mode(a: Array, b: Array, c: Array) -> Array:
            nearest = rounding.fma_double(a, b, c)
            return rounding.directed(nearest, rounding.double_error("fma", nearest, a, b, c), mode)

        return in_mode
    if kind.name in HALVES:
        return rounding.fma_odd
    return rounding.fma_single if mode == "rn" else partial(rounding.fma_directed, mode=mode)


def decode_float(ins: Instruction, bind: Binder) -> Step:
    """Decode an instruction whose last type is floating-point; the integer families hand theirs over."""
    known = {
        "add": _arithmetic,
        "sub": _arithmetic,
        "mul": _arithmetic,
        "mad": _fused,
        "min": _extreme,
        "max": _extreme,
        "abs": _sign,
        "neg": _sign,
        "div": None,
        "rem": None,
    }[ins.name]
    if known is None:
        from stepwell.runtime.simulator.instructions.functions import divide

        return divide(ins, bind)
    return known(ins, bind)


def _operands(ins: Instruction, bind: Binder, kind: PtxType, count: int) -> list[Source]:
    """Return the sources; of a mixed-precision instruction, all but the last are of the narrow type."""
    bind.count(count + 1)
    if len(ins.types) == 1:
        return sources(bind, kind)
    if kind.name != "f32" or len(ins.types) != 2 or ins.types[0] not in ("f16", "bf16"):
        bind.fail("this combination of types is not supported")
    narrow = bind.type(which=0)
    decode = decoder(narrow)
    count_narrow = 1 if count == 2 else 2
    reads = [bind.source(number, narrow) for number in range(1, 1 + count_narrow)]
    widened = [lambda lanes, read=read: decode(read(lanes)) for read in reads]
    return [*widened, *sources(bind, kind, 1 + count_narrow)]


def _arithmetic(ins: Instruction, bind: Binder) -> Step:
    kind = bind.type(*ALL)
    mode = rounding_mode(ins, bind, kind)
    bind.only(*ins.types, mode, "ftz", "sat")
    operands = _operands(ins, bind, kind, 2)
    if ins.name == "mul":
        function = _multiply(kind, mode)
    elif ins.name == "add":
        function = _add(kind, mode)
    else:
        add = _add(kind, mode)

        def function(a: Array, b: Array) -> Array:
            return add(a, -b)

        if mode == "rn":
            function = np.subtract
    return compute(bind.destination(0, kind), modified(function, ins, kind), operands)


@instruction("fma", group="float")
def _fused(ins: Instruction, bind: Binder) -> Step:
    kind = bind.type(*ALL)
    mode = rounding_mode(ins, bind, kind, required=ins.name == "fma")
    bind.only(*ins.types, mode, "ftz", "sat", *(("relu",) if kind.name in HALVES else ()))
    operands = _operands(ins, bind, kind, 3)
    return compute(bind.destination(0, kind), modified(_fma(kind, mode), ins, kind), operands)


def canonical(values: Array) -> Array:
    """Return values with the canonical NaN in place of any."""
    nan = np.isnan(values)
    if not nan.any():
        return values
    bits = np.uint32(0x7FFFFFFF) if values.dtype == np.float32 else np.uint64(0x7FFFFFFFFFFFFFFF)
    return np.where(nan, np.array([bits]).view(values.dtype)[0], values)


def _extreme(ins: Instruction, bind: Binder) -> Step:
    kind = bind.type(*ALL)
    bind.only(kind.name, "ftz", "NaN", "xorsign", "abs")
    sign = np.float64(-1.0) if ins.name == "min" else np.float64(1.0)

    def pick(a: Array, b: Array) -> Array:
        # Of two zeros, -0 counts as the smaller one.
        greater = (a > b) | ((a == b) & (np.signbit(b) & ~np.signbit(a)))
        chosen = np.where(greater == (sign > 0), a, b)
        chosen = np.where(np.isnan(a), b, np.where(np.isnan(b), a, chosen))
        if ins.has("NaN"):
            chosen = np.where(np.isnan(a) | np.isnan(b), a.dtype.type(np.nan), chosen)
        return canonical(chosen)

    def function(*values: Array) -> Array:
        if not ins.has("xorsign"):
            result = values[0]
            for value in values[1:]:
                result = pick(result, value)
            return result
        negative = np.signbit(values[0]) ^ np.signbit(values[1])
        size = np.abs(pick(np.abs(values[0]), np.abs(values[1])))
        return np.where(negative, -size, size)

    bind.count(3, 4)
    plain = kind.name in ("f32", "f64") and len(bind.ins.operands) == 3 and not ins.has("xorsign", "NaN")
    quick = _quick_extreme(np.fmin if ins.name == "min" else np.fmax, function) if plain else function
    return compute(bind.destination(0, kind), modified(quick, ins, kind), sources(bind, kind))


def _quick_extreme(function: Function, careful: Function) -> Function:
    """Return a function that takes the careful way only where a zero or a NaN makes a difference."""

    def quick(a: Array, b: Array) -> Array:
        result: Array = function(a, b)
        if not (result == 0).any() and not np.isnan(result).any():
            return result
        return careful(a, b)

    return quick


def _sign(ins: Instruction, bind: Binder) -> Step:
    kind = bind.type(*ALL)
    bind.only(kind.name, "ftz")
    bind.count(2)
    function: Function = np.abs if ins.name == "abs" else np.negative
    if ins.has("ftz") and kind.name == "f32":
        plain = function

        def function(a: Array) -> Array:
            return plain(flushed(a))

    # Signs are bits: packed and alternate formats need no decoding.
    if kind.name in ("f32", "f64", "f16"):
        return compute(bind.destination(0, kind), function, sources(bind, kind))
    bits = {"f16x2": 0x80008000, "bf16x2": 0x80008000, "bf16": 0x8000, "f32x2": 0x8000000080000000}[kind.name]
    mask = kind.dtype.type(bits)
    masked: Function = (lambda a: a & ~mask) if ins.name == "abs" else (lambda a: a ^ mask)
    return compute(bind.destination(0, kind), masked, sources(bind, kind))


@instruction("copysign", group="float")
def _copy_sign(ins: Instruction, bind: Binder) -> Step:
    kind = bind.type("f32", "f64")
    bind.only(kind.name)
    bind.count(3)
    return compute(bind.destination(0, kind), lambda a, b: np.copysign(b, a), sources(bind, kind))


@instruction("testp", group="float")
def _test(ins: Instruction, bind: Binder) -> Step:
    kind = bind.type("f32", "f64")
    smallest = np.finfo(kind.dtype).smallest_normal
    tests: dict[str, Function] = {
        "finite": np.isfinite,
        "infinite": np.isinf,
        "number": lambda a: ~np.isnan(a),
        "notanumber": np.isnan,
        "normal": lambda a: np.isfinite(a) & (np.abs(a) >= smallest),
        "subnormal": lambda a: (np.abs(a) < smallest) & (a != 0),
    }
    test = ins.one_of(*tests)
    bind.only(test, kind.name)
    if not test:
        bind.fail("the test is missing")
    return compute(bind.destination(0, "pred"), tests[test], sources(bind, kind))
