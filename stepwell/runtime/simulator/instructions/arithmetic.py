"""Integer arithmetic: add, sub, mul, mad, div, rem, abs, neg, min, max, sad, dp4a, with carries and wide products.

Source: PTX ISA, "Integer Arithmetic Instructions" and "Extended-Precision Integer Arithmetic Instructions".
Division by zero has no defined result; here the quotient is all ones and the remainder the dividend, as NVIDIA GPUs do.
"""

from collections.abc import Callable

import numpy as np

from stepwell.runtime.simulator.instructions.elementwise import compute, sources
from stepwell.runtime.simulator.instructions.floating_point import decode_float
from stepwell.runtime.simulator.machine.binding import Binder
from stepwell.runtime.simulator.machine.lanes import Array
from stepwell.runtime.simulator.machine.registry import Step, instruction
from stepwell.runtime.simulator.ptx.module import Instruction
from stepwell.runtime.simulator.ptx.types import TYPES, PtxType

_INTEGERS = ("u16", "u32", "u64", "s16", "s32", "s64")
_PAIRS = ("u16x2", "s16x2")


def _wide(kind: PtxType) -> PtxType:
    return TYPES[f"{kind.kind}{kind.bits * 2}"]


def is_float(ins: Instruction) -> bool:
    """Whether an instruction works on floating-point numbers."""
    return bool(ins.types) and (TYPES[ins.types[-1]].kind == "f" or ins.types[-1].startswith(("f", "bf")))


def high_product(kind: PtxType) -> Callable[[Array, Array], Array]:
    """Return the function that gives the upper half of a product."""
    if kind.bits < 64:
        wide, shift = _wide(kind).dtype, kind.bits
        return lambda a, b: (np.multiply(a, b, dtype=wide) >> shift).astype(kind.dtype)
    return _high64 if kind.kind == "u" else _high64_signed


def _high64(a: Array, b: Array) -> Array:
    low, half = np.uint64(0xFFFFFFFF), np.uint64(32)
    a0, a1, b0, b1 = a & low, a >> half, b & low, b >> half
    cross = a1 * b0 + ((a0 * b0) >> half)
    result: Array = a1 * b1 + (cross >> half) + ((a0 * b1 + (cross & low)) >> half)
    return result


def _high64_signed(a: Array, b: Array) -> Array:
    high = _high64(a.view(np.uint64), b.view(np.uint64)).view(np.int64)
    result: Array = high - np.where(a < 0, b, 0) - np.where(b < 0, a, 0)
    return result


def _quotient(a: Array, b: Array) -> Array:
    if a.dtype.kind == "u":
        found = a // b
    else:
        found = a // b
        found = found + ((found * b != a) & ((a ^ b) < 0)).astype(a.dtype)
    return found if b.all() else np.where(b == 0, ~np.zeros_like(found), found)


def _remainder(a: Array, b: Array) -> Array:
    result: Array = a - _quotient(a, b) * b
    return result


def _saturated_add(sign: int) -> Callable[[Array, Array], Array]:
    def function(a: Array, b: Array) -> Array:
        exact = a.astype(np.int64) + sign * b.astype(np.int64)
        clamped: Array = np.clip(exact, -(1 << 31), (1 << 31) - 1).astype(np.int32)
        return clamped

    return function


def _paired(function: Callable[..., Array], kind: PtxType) -> Callable[..., Array]:
    """Return a function on packed halves from one on 16-bit integers."""
    half = np.dtype("u2" if kind.name == "u16x2" else "i2")

    def function_of_pairs(*operands: Array) -> Array:
        split = [np.ascontiguousarray(one)[..., None].view(half) for one in operands]
        return np.ascontiguousarray(function(*split)).view(np.uint32)[..., 0]

    return function_of_pairs


def _plain(ins: Instruction, bind: Binder, function: Callable[..., Array], count: int) -> Step:
    kind = bind.type(*_INTEGERS, *_PAIRS)
    bind.only(kind.name)
    bind.count(count + 1)
    if kind.name in _PAIRS:
        function = _paired(function, kind)
    return compute(bind.destination(0, kind), function, sources(bind, kind))


@instruction("add", "sub", group="integer")
def _add(ins: Instruction, bind: Binder) -> Step:
    if is_float(ins):
        return decode_float(ins, bind)
    if ins.has("sat"):
        bind.only("sat", "s32")
        sign = 1 if ins.name == "add" else -1
        return compute(bind.destination(0, "s32"), _saturated_add(sign), sources(bind, "s32"))
    return _plain(ins, bind, np.add if ins.name == "add" else np.subtract, 2)


@instruction("min", "max", group="integer")
def _extreme(ins: Instruction, bind: Binder) -> Step:
    if is_float(ins):
        return decode_float(ins, bind)
    function: Callable[..., Array] = np.minimum if ins.name == "min" else np.maximum
    if ins.has("relu"):
        kind = bind.type("s32", "s16x2")
        bind.only("relu", kind.name)
        plain = function

        def function(a: Array, b: Array) -> Array:
            result: Array = np.maximum(plain(a, b), a.dtype.type(0))
            return result

        if kind.name == "s16x2":
            function = _paired(function, kind)
        return compute(bind.destination(0, kind), function, sources(bind, kind))
    return _plain(ins, bind, function, 2)


@instruction("abs", "neg", group="integer")
def _unary(ins: Instruction, bind: Binder) -> Step:
    if is_float(ins):
        return decode_float(ins, bind)
    bind.type("s16", "s32", "s64")
    return _plain(ins, bind, np.abs if ins.name == "abs" else np.negative, 1)


@instruction("div", "rem", group="integer")
def _divide(ins: Instruction, bind: Binder) -> Step:
    if is_float(ins):
        return decode_float(ins, bind)
    return _plain(ins, bind, _quotient if ins.name == "div" else _remainder, 2)


@instruction("mul", group="integer")
def _multiply(ins: Instruction, bind: Binder) -> Step:
    if is_float(ins):
        return decode_float(ins, bind)
    kind = bind.type(*_INTEGERS)
    mode = ins.one_of("lo", "hi", "wide")
    bind.only(mode, kind.name)
    bind.count(3)
    operands = sources(bind, kind)
    if mode == "lo":
        return compute(bind.destination(0, kind), np.multiply, operands)
    if mode == "hi":
        return compute(bind.destination(0, kind), high_product(kind), operands)
    if mode != "wide" or kind.bits == 64:
        bind.fail("one of .lo, .hi, .wide is expected")
    wide = _wide(kind)
    dtype = wide.dtype
    return compute(bind.destination(0, wide), lambda a, b: np.multiply(a, b, dtype=dtype), operands)


@instruction("mad", group="integer")
def _multiply_add(ins: Instruction, bind: Binder) -> Step:
    if is_float(ins):
        return decode_float(ins, bind)
    kind = bind.type(*_INTEGERS)
    mode = ins.one_of("lo", "hi", "wide")
    bind.count(4)
    if ins.has("sat"):
        bind.only("hi", "sat", "s32")
        add = _saturated_add(1)
        high = high_product(kind)
        return compute(bind.destination(0, kind), lambda a, b, c: add(high(a, b), c), sources(bind, kind))
    bind.only(mode, kind.name)
    if mode == "lo":
        return compute(bind.destination(0, kind), lambda a, b, c: a * b + c, sources(bind, kind))
    if mode == "hi":
        high = high_product(kind)
        return compute(bind.destination(0, kind), lambda a, b, c: high(a, b) + c, sources(bind, kind))
    if mode != "wide" or kind.bits == 64:
        bind.fail("one of .lo, .hi, .wide is expected")
    wide = _wide(kind)
    dtype = wide.dtype
    operands = [bind.source(1, kind), bind.source(2, kind), bind.source(3, wide)]
    return compute(bind.destination(0, wide), lambda a, b, c: np.multiply(a, b, dtype=dtype) + c, operands)


@instruction("mul24", "mad24", group="integer")
def _multiply24(ins: Instruction, bind: Binder) -> Step:
    kind = bind.type("u32", "s32")
    mode = ins.one_of("lo", "hi")
    if not mode:
        bind.fail("one of .lo, .hi is expected")
    bind.only(mode, kind.name)
    bind.count(3 if ins.name == "mul24" else 4)
    shift = 0 if mode == "lo" else 16

    def low24(value: Array) -> Array:
        wide = value.astype(np.int64)
        return (wide << 40) >> 40 if kind.kind == "s" else wide & 0xFFFFFF

    def function(a: Array, b: Array, c: Array | int = 0) -> Array:
        product = ((low24(a) * low24(b)) >> shift).astype(np.uint32).view(kind.dtype)
        return product if isinstance(c, int) else product + c

    return compute(bind.destination(0, kind), function, sources(bind, kind))


@instruction("sad", group="integer")
def _absolute_difference(ins: Instruction, bind: Binder) -> Step:
    def function(a: Array, b: Array, c: Array) -> Array:
        result: Array = c + np.where(a < b, b - a, a - b)
        return result

    bind.type(*_INTEGERS)
    return _plain(ins, bind, function, 3)


@instruction("dp4a", "dp2a", group="integer")
def _dot(ins: Instruction, bind: Binder) -> Step:
    bind.count(4)
    if len(ins.types) != 2 or any(word not in ("u32", "s32") for word in ins.types):
        bind.fail("two types of .u32 and .s32 are expected")
    four = ins.name == "dp4a"
    half = "" if four else ins.one_of("lo", "hi")
    bind.only(*ins.types, half or "u32")
    left = np.dtype(("i" if ins.types[0] == "s32" else "u") + ("1" if four else "2"))
    right = np.dtype("i1" if ins.types[1] == "s32" else "u1")
    chosen = slice(0, 4) if four else slice(0, 2) if half == "lo" else slice(2, 4)

    def function(a: Array, b: Array, c: Array) -> Array:
        parts = np.ascontiguousarray(a)[..., None].view(left).astype(np.int64)
        others = np.ascontiguousarray(b)[..., None].view(right)[..., chosen].astype(np.int64)
        total: Array = (parts * others).sum(axis=-1) + c
        return total.astype(np.uint32)

    result = "s32" if "s32" in ins.types else "u32"
    operands = [bind.source(1, "b32"), bind.source(2, "b32"), bind.source(3, result)]
    return compute(bind.destination(0, "b32"), function, operands)
