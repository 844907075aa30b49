"""Parses operands and guards."""

from collections.abc import Callable
from dataclasses import dataclass

from stepwell.runtime.simulator.ptx.cursor import Cursor
from stepwell.runtime.simulator.ptx.declarations import float_bits
from stepwell.runtime.simulator.ptx.lexer import integer
from stepwell.runtime.simulator.ptx.module import (
    Address,
    Guard,
    Immediate,
    Not,
    Operand,
    Pair,
    Register,
    Sink,
    Special,
    Symbol,
    Vector,
)

_AXES = (".x", ".y", ".z", ".w")


@dataclass(frozen=True, slots=True)
class Unresolved:
    """A name that may be a label further down; ``scope`` numbers the scope it is used in."""

    name: str
    scope: int
    line: int


Names = Callable[[str], "Operand | Unresolved | None"]
"""Gives the register or variable of a name, Unresolved for what may be a label, None for a name that cannot be."""


class OperandParser:
    """Parses operands at a cursor, with the names of the scope it stands in."""

    def __init__(self, cursor: Cursor, names: Names) -> None:
        self.cursor = cursor
        self.names = names

    def guard(self) -> Guard | None:
        """Parse ``@p`` or ``@!p`` if it is there."""
        if not self.cursor.accept("@"):
            return None
        negated = self.cursor.accept("!")
        return Guard(self._register("a predicate register"), negated)

    def operands(self) -> list[Operand]:
        """Parse operands up to the semicolon."""
        found: list[Operand] = []
        while not self.cursor.at(";"):
            if found:
                self.cursor.expect(",")
            found.append(self.operand())
        return found

    def operand(self) -> Operand:
        """Parse one operand."""
        cursor = self.cursor
        if cursor.accept("{"):
            return Vector(self._list("}"))
        if cursor.accept("["):
            return self._address()
        if cursor.accept("!"):
            return Not(self._register("a predicate register"))
        first = self._single()
        if cursor.accept("|"):
            return Pair(first, self._single())
        if cursor.at("+") and isinstance(first, Symbol):
            cursor.take()
            return Address(first, cursor.integer())
        return first

    def _single(self) -> Operand:
        cursor = self.cursor
        if cursor.next.kind in ("int", "float") or cursor.at("-"):
            return self._number()
        token = cursor.next
        name = cursor.word("an operand")
        if name == "_":
            return Sink()
        if name == "WARP_SZ":
            return Immediate(32)
        if name.startswith("%") and cursor.next.text in _AXES:
            name += cursor.take().text
        found = self.names(name)
        if found is not None:
            return found  # type: ignore[return-value]  # labels are resolved when the entry is complete
        if name.startswith("%"):
            return Special(name)
        raise cursor.error(f"'{name}' is not declared", token)

    def _number(self) -> Immediate:
        cursor = self.cursor
        negative = cursor.accept("-")
        token = cursor.take()
        if token.kind == "int":
            return Immediate(-integer(token.text) if negative else integer(token.text))
        if token.kind != "float":
            raise cursor.error(f"expected a number, found '{token.text}'", token)
        bits, kind = float_bits(token.text)
        if negative:
            bits ^= 1 << (31 if kind == "f32" else 63)
        return Immediate(bits, kind)

    def _list(self, end: str) -> tuple[Operand, ...]:
        found: list[Operand] = []
        while not self.cursor.accept(end):
            if found:
                self.cursor.expect(",")
            found.append(self.operand())
        return tuple(found)

    def _address(self) -> Address:
        cursor = self.cursor
        base: Register | Symbol | None = None
        offset = 0
        if cursor.next.kind == "int":
            offset = cursor.integer()
        else:
            token = cursor.next
            found = self._single()
            if not isinstance(found, Register | Symbol | Unresolved):
                raise cursor.error(f"'{token.text}' cannot be the base of an address", token)
            base = found
        while cursor.at("+", "-"):
            cursor.accept("+")
            offset += cursor.integer()
        rest: tuple[Operand, ...] = ()
        if cursor.accept(","):
            rest = self._list("]")
        else:
            cursor.expect("]")
        return Address(base, offset, rest)

    def _register(self, what: str) -> Register:
        token = self.cursor.next
        found = self.names(self.cursor.word(what))
        if not isinstance(found, Register):
            raise self.cursor.error(f"expected {what}, found '{token.text}'", token)
        return found
