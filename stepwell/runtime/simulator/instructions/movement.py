"""Moving values between registers: mov, cvta, isspacep. Source: PTX ISA, mov, cvta, isspacep."""

import numpy as np

from stepwell.runtime.simulator.instructions.elementwise import compute
from stepwell.runtime.simulator.machine.binding import Binder, Source
from stepwell.runtime.simulator.machine.lanes import Array, Lanes
from stepwell.runtime.simulator.machine.registry import Step, instruction
from stepwell.runtime.simulator.memory.windows import RANK_SHIFT, SPACES, WINDOW_SHIFT, WINDOWS
from stepwell.runtime.simulator.ptx.module import Address, Instruction, Register, Symbol, Vector
from stepwell.runtime.simulator.ptx.types import STORAGE, PtxType

_TYPES = ("pred", "b16", "b32", "b64", "u16", "u32", "u64", "s16", "s32", "s64", "f32", "f64")


@instruction("mov", group="move")
def _move(ins: Instruction, bind: Binder) -> Step:
    kind = bind.type(*_TYPES)
    bind.only(kind.name)
    bind.count(2)
    first, second = bind.operand(0), bind.operand(1)
    if isinstance(first, Vector):
        return _unpack(bind, kind, first)
    if isinstance(second, Vector):
        return _pack(bind, kind, second)
    if isinstance(second, Address) and isinstance(second.base, Symbol):
        base, offset = bind.source(second.base, "s64"), np.int64(second.offset)
        return compute(bind.destination(0, kind), lambda a: (a + offset).astype(kind.dtype), [base])
    if isinstance(second, Register):
        return _copy(bind, kind, second)
    return compute(bind.destination(0, kind), lambda a: a, [bind.source(1, kind)])


def _copy(bind: Binder, kind: PtxType, second: Register) -> Step:
    """Copy a register without a look at its type's dtype."""
    bind.source(1, kind)
    slot = second.slot
    destination = bind.destination(0, kind)

    def step(lanes: Lanes) -> None:
        destination(lanes, lanes.registers[slot])

    return step


def _pack(bind: Binder, kind: PtxType, vector: Vector) -> Step:
    """``mov.b32 %r, {%lo, %hi}``: the first element is the lowest."""
    if kind.bits % len(vector.elements):
        bind.fail("the elements do not make up the type")
    width = kind.bits // len(vector.elements)
    if width not in STORAGE:
        bind.fail(f"elements of {width} bits are not supported")
    operands = [
        bind.source(element, f"u{width}" if width > 8 else "u8", narrow=width == 8) for element in vector.elements
    ]
    wide = STORAGE[kind.bits]

    def join(*parts: Array) -> Array:
        result = parts[0].astype(wide)
        for number, part in enumerate(parts[1:], 1):
            result = result | (part.astype(wide) << wide.type(number * width))
        return result

    return compute(bind.destination(0, f"b{kind.bits}"), join, operands)


def _unpack(bind: Binder, kind: PtxType, vector: Vector) -> Step:
    """``mov.b32 {%lo, %hi}, %r``."""
    if kind.bits % len(vector.elements):
        bind.fail("the elements do not make up the type")
    width = kind.bits // len(vector.elements)
    if width not in STORAGE:
        bind.fail(f"elements of {width} bits are not supported")
    wide, low = STORAGE[kind.bits], STORAGE[width]
    source: Source = bind.source(1, f"u{kind.bits}")
    parts = [bind.destination(element, f"u{width}", widen=width == 8) for element in vector.elements]

    def step(lanes: Lanes) -> None:
        value = source(lanes)
        for number, part in enumerate(parts):
            part(lanes, (value >> wide.type(number * width)).astype(low))

    return step


def _space(ins: Instruction, bind: Binder) -> str:
    words = {"global", "const", "local", "param", "shared", "shared::cta", "shared::cluster", "param::entry"}
    found = [word for word in ins.modifiers if word in words]
    if len(found) != 1:
        bind.fail("a state space is expected")
    return found[0].split("::")[0]


@instruction("cvta", group="integer")
def _convert_address(ins: Instruction, bind: Binder) -> Step:
    kind = bind.type("u32", "u64")
    space = _space(ins, bind)
    bind.only("to", kind.name, *[word for word in ins.modifiers if word.split("::")[0] == space])
    bind.count(2)
    window = WINDOWS.get(space, 0)
    if window and kind.bits != 64:
        bind.fail("32-bit generic addresses are not supported")
    base = np.uint64(window)
    second = bind.operand(1)
    if isinstance(second, Address) and isinstance(second.base, Symbol):
        symbol, offset = bind.source(second.base, "u64"), np.uint64(second.offset)
        operand: Source = lambda lanes: symbol(lanes) + offset  # noqa: E731
    else:
        operand = bind.source(1, kind)
    destination = bind.destination(0, kind)
    if not window:
        return compute(destination, lambda a: a, [operand])
    if ins.has("to"):
        return compute(destination, lambda a: a - base, [operand])
    return compute(destination, lambda a: a + base, [operand])


@instruction("isspacep", group="compare")
def _is_in_space(ins: Instruction, bind: Binder) -> Step:
    space = _space(ins, bind)
    bind.count(2)
    own_block = ins.has("shared::cta") or ins.has("shared")
    number = SPACES.index(space) if space in SPACES else 0

    def function(a: Array) -> Array:
        window = a >> np.uint64(WINDOW_SHIFT)
        if number == 0:
            # Constants and global memory share their addresses here, as far as a kernel can tell.
            outside: Array = (window == 0) | (window >= len(SPACES))
            return outside
        result: Array = window == number
        return result

    step = compute(bind.destination(0, "pred"), function, [bind.source(1, "u64")])
    if space == "shared" and own_block:
        return _own_shared(bind)
    return step


def _own_shared(bind: Binder) -> Step:
    """Whether an address is in the shared memory of the thread's own block."""
    source, destination = bind.source(1, "u64"), bind.destination(0, "pred")

    def step(lanes: Lanes) -> None:
        address = source(lanes)
        inside = address >> np.uint64(WINDOW_SHIFT) == SPACES.index("shared")
        cluster = lanes.batch.launch.cluster
        rank = ((lanes.batch.first + lanes.threads.blocks) % cluster).astype(np.uint64)
        destination(lanes, inside & ((address & np.uint64(0xFFFFFFFF)) >> np.uint64(RANK_SHIFT) == rank))

    return step
