"""Logic, shifts and bit fields.

Source: PTX ISA, "Logic and Shift Instructions", "Integer Arithmetic Instructions" (bit fields, counts), prmt.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from stepwell.runtime.simulator.instructions.elementwise import compute, sources
from stepwell.runtime.simulator.machine.binding import Binder
from stepwell.runtime.simulator.machine.lanes import Array
from stepwell.runtime.simulator.machine.registry import Step, instruction
from stepwell.runtime.simulator.ptx.module import Instruction

_BITS = ("b16", "b32", "b64")
_SIZED = ("u32", "u64", "s32", "s64")
Function = Callable[..., Array]


@instruction("and", "or", "xor", "not", "cnot", group="integer")
def _logic(ins: Instruction, bind: Binder) -> Step:
    kind = bind.type("pred", *_BITS)
    bind.only(kind.name)
    functions: dict[str, Function] = {
        "and": np.bitwise_and,
        "or": np.bitwise_or,
        "xor": np.bitwise_xor,
        "not": np.invert,
        "cnot": lambda a: (a == 0).astype(a.dtype),
    }
    bind.count(2 if ins.name in ("not", "cnot") else 3)
    return compute(bind.destination(0, kind), functions[ins.name], sources(bind, kind))


@instruction("shl", "shr", group="integer")
def _shift(ins: Instruction, bind: Binder) -> Step:
    allowed = _BITS if ins.name == "shl" else (*_BITS, "u16", "u32", "u64", "s16", "s32", "s64")
    kind = bind.type(*allowed)
    bind.only(kind.name)
    bind.count(3)
    dtype, limit = kind.dtype, np.uint32(kind.bits - 1)
    operation = np.left_shift if ins.name == "shl" else np.right_shift
    signed = kind.kind == "s"

    def function(a: Array, amount: Array) -> Array:
        result: Array = operation(a, np.minimum(amount, limit).astype(dtype))
        over = amount > limit
        if signed or not over.any():
            return result
        return np.where(over, dtype.type(0), result)

    operands = [bind.source(1, kind), bind.source(2, "u32")]
    return compute(bind.destination(0, kind), function, operands)


@instruction("shf", group="integer")
def _funnel_shift(ins: Instruction, bind: Binder) -> Step:
    direction, mode = ins.one_of("l", "r"), ins.one_of("clamp", "wrap")
    if not direction or not mode:
        bind.fail("a direction and a mode are expected")
    bind.only(direction, mode, "b32")
    bind.count(4)

    def function(low: Array, high: Array, amount: Array) -> Array:
        joined = (high.astype(np.uint64) << np.uint64(32)) | low
        count = np.minimum(amount, np.uint32(32)) if mode == "clamp" else amount & np.uint32(31)
        if direction == "l":
            joined = (joined << count.astype(np.uint64)) >> np.uint64(32)
        else:
            joined = joined >> count.astype(np.uint64)
        return joined.astype(np.uint32)

    return compute(bind.destination(0, "b32"), function, sources(bind, "b32"))


@instruction("lop3", group="integer")
def _three_inputs(ins: Instruction, bind: Binder) -> Step:
    bind.only("b32")
    bind.count(5)
    table = bind.immediate(4)

    def function(a: Array, b: Array, c: Array) -> Array:
        result = np.zeros(np.broadcast(a, b, c).shape, np.uint32)
        for row in range(8):
            if table >> row & 1:
                result |= (a if row & 4 else ~a) & (b if row & 2 else ~b) & (c if row & 1 else ~c)
        return result

    operands = [bind.source(number, "b32") for number in (1, 2, 3)]
    return compute(bind.destination(0, "b32"), function, operands)


@instruction("prmt", group="integer")
def _permute(ins: Instruction, bind: Binder) -> Step:
    mode = ins.one_of("f4e", "b4e", "rc8", "ecl", "ecr", "rc16")
    bind.only("b32", mode)
    bind.count(4)
    # The special modes choose one of four fixed selections by the two low bits of the control.
    tables = {
        "f4e": (0x3210, 0x4321, 0x5432, 0x6543),
        "b4e": (0x5670, 0x6701, 0x7012, 0x0123),
        "rc8": (0x0000, 0x1111, 0x2222, 0x3333),
        "ecl": (0x3210, 0x3211, 0x3222, 0x3333),
        "ecr": (0x0000, 0x1110, 0x2210, 0x3210),
        "rc16": (0x1010, 0x3232, 0x1010, 0x3232),
    }

    def function(a: Array, b: Array, control: Array) -> Array:
        joined = (b.astype(np.uint64) << np.uint64(32)) | a
        if mode:
            control = np.array(tables[mode], np.uint32)[control & np.uint32(3)]
        result = np.zeros(np.broadcast(a, b, control).shape, np.uint32)
        for place in range(4):
            chosen = (control >> np.uint32(4 * place)) & np.uint32(15)
            byte = (joined >> ((chosen & np.uint32(7)) * np.uint32(8)).astype(np.uint64)).astype(np.uint32)
            byte = byte & np.uint32(0xFF)
            sign = (byte >> np.uint32(7)) * np.uint32(0xFF)
            result |= np.where(chosen >> np.uint32(3), sign, byte) << np.uint32(8 * place)
        return result

    return compute(bind.destination(0, "b32"), function, sources(bind, "b32"))


@instruction("bfe", group="integer")
def _extract(ins: Instruction, bind: Binder) -> Step:
    kind = bind.type(*_SIZED)
    bind.only(kind.name)
    bind.count(4)
    unsigned, bits = np.dtype(f"u{kind.bytes}"), kind.bits

    def function(a: Array, position: Array, length: Array) -> Array:
        position, length = position & np.uint32(0xFF), length & np.uint32(0xFF)
        plain = a.view(unsigned)
        moved = np.where(position < bits, plain >> np.minimum(position, bits - 1).astype(unsigned), unsigned.type(0))
        mask = low_bits(length, unsigned)
        field: Array = moved & mask
        if kind.kind == "u":
            return field
        last = np.minimum(position.astype(np.int64) + length - 1, bits - 1)
        sign = (plain >> np.maximum(last, 0).astype(unsigned)) & unsigned.type(1)
        # Bits of the field past the end of the number are copies of its sign too.
        past = ~low_bits(np.maximum(bits - position.astype(np.int64), 0).astype(np.uint32), unsigned) | ~mask
        filled = np.where((sign != 0) & (length != 0), field | past, field)
        result: Array = filled.astype(unsigned).view(kind.dtype)
        return result

    operands = [bind.source(1, kind), bind.source(2, "u32"), bind.source(3, "u32")]
    return compute(bind.destination(0, kind), function, operands)


def low_bits(count: Array, dtype: "np.dtype[Any]") -> Array:
    """Return numbers whose lowest ``count`` bits are set."""
    bits = dtype.itemsize * 8
    some = (dtype.type(1) << np.minimum(count, bits - 1).astype(dtype)) - dtype.type(1)
    mask: Array = np.where(count >= bits, ~dtype.type(0), some)
    return mask


@instruction("bfi", group="integer")
def _insert(ins: Instruction, bind: Binder) -> Step:
    kind = bind.type("b32", "b64")
    bind.only(kind.name)
    bind.count(5)
    dtype, bits = kind.dtype, kind.bits

    def function(a: Array, b: Array, position: Array, length: Array) -> Array:
        position, length = position & np.uint32(0xFF), length & np.uint32(0xFF)
        shift = np.minimum(position, bits - 1).astype(dtype)
        mask = np.where(position < bits, low_bits(length, dtype) << shift, dtype.type(0))
        result: Array = (b & ~mask) | ((a << shift) & mask)
        return result

    operands = [bind.source(1, kind), bind.source(2, kind), bind.source(3, "u32"), bind.source(4, "u32")]
    return compute(bind.destination(0, kind), function, operands)


def highest_bit(value: Array) -> Array:
    """Return the position of the highest bit set in unsigned numbers, -1 where there is none."""
    found = np.full(value.shape, -1, np.int32)
    rest = value.astype(np.uint64)
    for step in (32, 16, 8, 4, 2, 1):
        upper = rest >> np.uint64(step)
        more = upper != 0
        found = np.where(more, found + step, found)
        rest = np.where(more, upper, rest)
    return np.where(rest != 0, found + 1, found).astype(np.int32)


@instruction("bfind", group="integer")
def _find(ins: Instruction, bind: Binder) -> Step:
    kind = bind.type(*_SIZED)
    bind.only(kind.name, "shiftamt")
    bind.count(2)
    unsigned = np.dtype(f"u{kind.bytes}")

    def function(a: Array) -> Array:
        if kind.kind == "s":
            a = np.where(a < 0, ~a, a)
        found = highest_bit(a.view(unsigned))
        if ins.has("shiftamt"):
            found = np.where(found >= 0, kind.bits - 1 - found, -1).astype(np.int32)
        return found.view(np.uint32)

    return compute(bind.destination(0, "u32"), function, [bind.source(1, kind)])


@instruction("clz", "popc", group="integer")
def _count(ins: Instruction, bind: Binder) -> Step:
    kind = bind.type("b32", "b64")
    bind.only(kind.name)
    bind.count(2)

    def zeros(a: Array) -> Array:
        return (kind.bits - 1 - highest_bit(a)).astype(np.uint32)

    function: Function = zeros if ins.name == "clz" else lambda a: np.bitwise_count(a).astype(np.uint32)
    return compute(bind.destination(0, "u32"), function, [bind.source(1, kind)])


@instruction("brev", group="integer")
def _reverse(ins: Instruction, bind: Binder) -> Step:
    kind = bind.type("b32", "b64")
    bind.only(kind.name)
    bind.count(2)
    reversed_bytes = np.array([int(f"{byte:08b}"[::-1], 2) for byte in range(256)], np.uint8)

    def function(a: Array) -> Array:
        parts = np.ascontiguousarray(a)[..., None].view(np.uint8)
        result: Array = np.ascontiguousarray(reversed_bytes[parts][..., ::-1]).view(kind.dtype)[..., 0]
        return result

    return compute(bind.destination(0, kind), function, [bind.source(1, kind)])


@instruction("fns", group="integer")
def _nth_set(ins: Instruction, bind: Binder) -> Step:
    bind.only("b32")
    bind.count(4)

    def find(mask: int, base: int, offset: int) -> int:
        if offset == 0:
            return base if mask >> base & 1 else 0xFFFFFFFF
        places = range(base, 32) if offset > 0 else range(base, -1, -1)
        hits = [place for place in places if mask >> place & 1]
        return hits[abs(offset) - 1] if len(hits) >= abs(offset) else 0xFFFFFFFF

    whole = np.frompyfunc(find, 3, 1)
    operands = [bind.source(1, "b32"), bind.source(2, "b32"), bind.source(3, "s32")]
    return compute(bind.destination(0, "b32"), lambda *values: whole(*values).astype(np.uint32), operands)


@instruction("bmsk", group="integer")
def _mask(ins: Instruction, bind: Binder) -> Step:
    mode = ins.one_of("clamp", "wrap")
    if not mode:
        bind.fail(".clamp or .wrap is expected")
    bind.only(mode, "b32")
    bind.count(3)

    def function(position: Array, width: Array) -> Array:
        if mode == "wrap":
            position, width = position & np.uint32(31), width & np.uint32(31)
        mask = low_bits(width, np.dtype(np.uint32)) << np.minimum(position, 31)
        return np.where(position < 32, mask, np.uint32(0)).astype(np.uint32)

    return compute(bind.destination(0, "b32"), function, sources(bind, "b32"))


@instruction("szext", group="integer")
def _extend(ins: Instruction, bind: Binder) -> Step:
    mode = ins.one_of("clamp", "wrap")
    kind = bind.type("u32", "s32")
    if not mode:
        bind.fail(".clamp or .wrap is expected")
    bind.only(mode, kind.name)
    bind.count(3)

    def function(a: Array, width: Array) -> Array:
        width = width & np.uint32(31) if mode == "wrap" else np.minimum(width, 32)
        mask = low_bits(width, np.dtype(np.uint32))
        low = a.view(np.uint32) & mask
        if kind.kind == "s":
            sign = (low >> (np.maximum(width, 1) - 1).astype(np.uint32)) & np.uint32(1)
            low = np.where((sign != 0) & (width > 0), low | ~mask, low)
        return low.astype(np.uint32).view(kind.dtype)

    return compute(bind.destination(0, kind), function, [bind.source(1, kind), bind.source(2, "u32")])
