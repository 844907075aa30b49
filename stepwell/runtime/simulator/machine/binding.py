"""Resolves an instruction's operands, once, into functions from lanes to values."""

from collections.abc import Callable
from typing import NoReturn, TypeAlias

import numpy as np

from stepwell.runtime.simulator.machine.lanes import Array, Lanes
from stepwell.runtime.simulator.machine.special import special_register
from stepwell.runtime.simulator.ptx import module as ptx
from stepwell.runtime.simulator.ptx.types import STORAGE, TYPES, PtxType
from stepwell.support.errors import SimulationError, SourceLocation, UnsupportedPtxError

Source: TypeAlias = Callable[[Lanes], Array]
Destination: TypeAlias = Callable[[Lanes, Array], None]


def _constant(frame: Array) -> Source:
    return lambda lanes: frame


class Binder:
    """Gives a decoder the operands of one instruction.

    Operands are named by their position, or given as such. Types are names ("f32") or ``PtxType``.

    Args:
        ins: the instruction.
        entry: the kernel it is in.
    """

    def __init__(self, ins: ptx.Instruction, entry: ptx.Entry) -> None:
        self.ins = ins
        self.entry = entry

    def fail(self, message: str) -> NoReturn:
        """Refuse the instruction: ``message`` says what about it is not known."""
        raise located(UnsupportedPtxError(f"'{self.ins.opcode}': {message}"), self.ins, self.entry.name)

    def only(self, *modifiers: str) -> None:
        """Refuse the instruction where it has a modifier other than these."""
        for word in self.ins.modifiers:
            if word not in modifiers:
                self.fail(f"the modifier '.{word}' is not supported here")

    def type(self, *allowed: str, which: int = -1) -> PtxType:
        """Return the instruction's type: the last modifier that is one, or the given one of them."""
        types = self.ins.types
        if not types or not -len(types) <= which < len(types):
            self.fail("a type is missing")
        if allowed and types[which] not in allowed:
            self.fail(f"the type '.{types[which]}' is not supported here")
        return TYPES[types[which]]

    def count(self, *allowed: int) -> None:
        """Refuse the instruction where its number of operands is not one of these."""
        if len(self.ins.operands) not in allowed:
            self.fail(f"{len(self.ins.operands)} operands, expected {' or '.join(map(str, allowed))}")

    def operand(self, which: "int | ptx.Operand") -> ptx.Operand:
        """Return an operand by its position; refuse the instruction where it is missing."""
        if not isinstance(which, int):
            return which
        if not -len(self.ins.operands) <= which < len(self.ins.operands):
            self.fail(f"operand {which} is missing")
        return self.ins.operands[which]

    def elements(self, which: "int | ptx.Operand") -> tuple[ptx.Operand, ...]:
        """Return the operands in braces, or the one operand that stands alone."""
        operand = self.operand(which)
        return operand.elements if isinstance(operand, ptx.Vector) else (operand,)

    def immediate(self, which: "int | ptx.Operand") -> int:
        """Return the value of an operand that must be an integer constant."""
        operand = self.operand(which)
        if not isinstance(operand, ptx.Immediate) or operand.kind != "int":
            self.fail("a constant is expected")
        return operand.value

    def source(self, which: "int | ptx.Operand", type: str | PtxType, *, narrow: bool = False) -> Source:
        """Return a function that reads an operand, as a frame of the type's dtype.

        Args:
            which: the operand.
            type: as what it is read.
            narrow: whether the register may be wider than the type: its low bits count.
        """
        kind = TYPES[type] if isinstance(type, str) else type
        operand = self.operand(which)
        if isinstance(operand, ptx.Immediate):
            return _constant(_immediate(operand, kind))
        if isinstance(operand, ptx.Not):
            plain = self._register(operand.operand, kind, narrow)
            return lambda lanes: ~plain(lanes)
        if isinstance(operand, ptx.Special):
            return self._special(operand.name, kind)
        if isinstance(operand, ptx.Symbol):
            name = operand.name
            return lambda lanes: lanes.batch.symbol(name, lanes).astype(kind.dtype, copy=False)
        if not isinstance(operand, ptx.Register):
            self.fail(f"a value is expected, not {_described(operand)}")
        return self._register(operand, kind, narrow)

    def _special(self, name: str, kind: PtxType) -> Source:
        read = special_register(name)
        if read is None:
            self.fail(f"the special register '{name}' is not supported")
        return lambda lanes: read(lanes).astype(kind.dtype, copy=False)

    def _register(self, register: ptx.Register, kind: PtxType, narrow: bool) -> Source:
        slot, dtype = register.slot, kind.dtype
        if register.type.bits == kind.bits and (register.type.name == "pred") == (kind.name == "pred"):

            def read(lanes: Lanes) -> Array:
                value = lanes.registers[slot]
                return value if value.dtype is dtype else value.view(dtype)

            return read
        if not narrow or register.type.bits < kind.bits or "pred" in (kind.name, register.type.name):
            self.fail(f"'{register.name}' is a register of type .{register.type.name}, expected .{kind.name}")
        wide, low = STORAGE[register.type.bits], STORAGE[kind.bits]
        return lambda lanes: lanes.registers[slot].view(wide).astype(low).view(dtype)

    def destination(self, which: "int | ptx.Operand", type: str | PtxType, *, widen: bool = False) -> Destination:
        """Return a function that writes a frame of the type's dtype to an operand.

        Args:
            which: the operand; the sink ``_`` takes and forgets.
            type: what is written.
            widen: whether the register may be wider than the type: the value is extended as its type demands.
        """
        kind = TYPES[type] if isinstance(type, str) else type
        operand = self.operand(which)
        if isinstance(operand, ptx.Sink):
            return lambda lanes, value: None
        if not isinstance(operand, ptx.Register):
            self.fail(f"a register is expected, not {_described(operand)}")
        slot, held = operand.slot, operand.type
        if held.bits == kind.bits and (held.name == "pred") == (kind.name == "pred"):
            return lambda lanes, value: lanes.set(slot, value)
        if not widen or held.bits < kind.bits or "pred" in (kind.name, held.name):
            self.fail(f"'{operand.name}' is a register of type .{held.name}, expected .{kind.name}")
        wide = np.dtype(f"i{held.bits // 8}") if kind.kind == "s" else STORAGE[held.bits]
        own = kind.dtype if kind.kind == "s" else STORAGE[kind.bits]
        return lambda lanes, value: lanes.set(slot, value.view(own).astype(wide))

    def pair(self, which: int) -> tuple[ptx.Operand, ptx.Operand | None]:
        """Return both operands of ``d|p``, or the one and None."""
        operand = self.operand(which)
        return (operand.first, operand.second) if isinstance(operand, ptx.Pair) else (operand, None)

    def address(self, which: "int | ptx.Operand") -> Source:
        """Return a function that gives the frame of int64 addresses of a memory operand ``[base + offset]``."""
        operand = self.operand(which)
        if not isinstance(operand, ptx.Address):
            self.fail(f"an address in brackets is expected, not {_described(operand)}")
        offset = np.int64(operand.offset)
        base = operand.base
        if base is None:
            return _constant(np.full((1, 1), offset))
        if isinstance(base, ptx.Symbol):
            name = base.name
            return lambda lanes: lanes.batch.symbol(name, lanes) + offset
        slot, wide = base.slot, base.type.bits == 64
        if base.type.bits not in (32, 64):
            self.fail(f"'{base.name}' is too narrow to hold an address")

        def read(lanes: Lanes) -> Array:
            value = lanes.registers[slot]
            value = value.view(np.int64) if wide else value.view(np.uint32).astype(np.int64)
            return value + offset if offset else value

        return read


def located(error: SimulationError, ins: ptx.Instruction, entry: str) -> SimulationError:
    """Complete an error by the instruction that it is about."""
    error.entry = error.entry or entry
    if not error.ptx_line:
        error.ptx_line, error.instruction = ins.line, ins.text
        if ins.source is not None and error.location is None:
            error.location = SourceLocation(*ins.source)
    return error


def _immediate(operand: ptx.Immediate, kind: PtxType) -> Array:
    if operand.kind == "int":
        if kind.kind == "f":
            return np.full((1, 1), operand.value, kind.dtype)
        if kind.name == "pred":
            return np.full((1, 1), bool(operand.value))
        bits = operand.value & ((1 << kind.bits) - 1)
        return np.full((1, 1), bits, STORAGE[kind.bits]).view(kind.dtype)
    held = np.array([[operand.value]], np.uint32 if operand.kind == "f32" else np.uint64)
    number = held.view(np.float32 if operand.kind == "f32" else np.float64)
    if held.dtype.itemsize * 8 == kind.bits:
        return held.view(kind.dtype)
    return number.astype(f"f{kind.bits // 8}").view(kind.dtype)


def _described(operand: ptx.Operand) -> str:
    return type(operand).__name__.lower()
