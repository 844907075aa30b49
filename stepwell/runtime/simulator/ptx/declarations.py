"""Parses declarations: types, variables and their initial values, parameters."""

import struct
from collections.abc import Callable
from dataclasses import dataclass

from stepwell.runtime.simulator.ptx.cursor import Cursor
from stepwell.runtime.simulator.ptx.lexer import integer
from stepwell.runtime.simulator.ptx.module import Parameter, Variable
from stepwell.runtime.simulator.ptx.types import TYPES, PtxType

SPACES = (".global", ".const", ".shared", ".local", ".param")
_VECTORS = {".v2": 2, ".v4": 4, ".v8": 8}
_FLOATS = {2: "<e", 4: "<f", 8: "<d"}


@dataclass(frozen=True, slots=True)
class _Shape:
    """The part of a declaration before the name."""

    type: PtxType
    vector: int
    align: int


def float_bits(text: str) -> tuple[int, str]:
    """Return bits and kind ("f32" or "f64") of a floating-point token."""
    if text[:2] in ("0f", "0F"):
        return int(text[2:], 16), "f32"
    if text[:2] in ("0d", "0D"):
        return int(text[2:], 16), "f64"
    return int(struct.unpack("<Q", struct.pack("<d", float(text)))[0]), "f64"


def parse_variables(cursor: Cursor, space: str, *, external: bool = False) -> list[Variable]:
    """Parse what follows a state space, up to the semicolon: ``.align 4 .b8 a[16] = {...}, b[4];``."""
    shape = _parse_shape(cursor)
    found = [_parse_variable(cursor, space, shape, external)]
    while cursor.accept(","):
        found.append(_parse_variable(cursor, space, shape, external))
    cursor.expect(";")
    return found


def parse_parameters(cursor: Cursor) -> tuple[tuple[Parameter, ...], int]:
    """Parse a list of parameters in parentheses; return them and the size of their buffer."""
    cursor.expect("(")
    found: list[Parameter] = []
    end = 0
    while not cursor.accept(")"):
        if found:
            cursor.expect(",")
        cursor.expect(".param")
        variable = _parse_variable(cursor, "param", _parse_shape(cursor), False)
        offset = -(-end // variable.align) * variable.align
        end = offset + variable.size
        found.append(Parameter(variable.name, variable.size, variable.align, offset))
    return tuple(found), end


def parse_register_type(cursor: Cursor) -> PtxType:
    """Parse the type of a .reg directive."""
    shape = _parse_shape(cursor)
    if shape.vector != 1:
        raise cursor.error("vector registers are not supported: declare their components")
    return shape.type


def _parse_shape(cursor: Cursor) -> _Shape:
    kind, vector, align = None, 1, 0
    while cursor.next.kind == "dot":
        word = cursor.take().text
        if word == ".align":
            align = cursor.integer()
        elif word == ".ptr":
            # The alignment after .ptr is that of what the parameter points to.
            while cursor.at(".global", ".const", ".shared", ".local", ".generic", ".param"):
                cursor.take()
            if cursor.accept(".align"):
                cursor.integer()
        elif word in _VECTORS:
            vector = _VECTORS[word]
        elif word == ".attribute":
            cursor.expect("(")
            while not cursor.accept(")"):
                cursor.take()
        elif word[1:] in TYPES:
            kind = TYPES[word[1:]]
        else:
            raise cursor.error(f"'{word}' is not known in a declaration", cursor.tokens[cursor.position - 1])
    if kind is None:
        raise cursor.error("a type is missing")
    return _Shape(kind, vector, align or kind.bytes * vector)


def _parse_variable(cursor: Cursor, space: str, shape: _Shape, external: bool) -> Variable:
    name = cursor.word("a name")
    count, open_ended = 1, False
    while cursor.accept("["):
        if cursor.accept("]"):
            open_ended = True
            continue
        count *= cursor.integer()
        cursor.expect("]")
    item = shape.type.bytes
    data: bytes | None = None
    pointers: tuple[tuple[int, str, int], ...] = ()
    if cursor.accept("="):
        data, pointers = _Initializer(cursor, shape.type).parse()
    size = count * item * shape.vector
    if open_ended:
        size = len(data) if data is not None else 0
    return Variable(name, space, size, shape.align, data, pointers, external)


class _Initializer:
    def __init__(self, cursor: Cursor, kind: PtxType) -> None:
        self.cursor = cursor
        self.kind = kind
        self.data = bytearray()
        self.pointers: list[tuple[int, str, int]] = []

    def parse(self) -> tuple[bytes, tuple[tuple[int, str, int], ...]]:
        self._value()
        return bytes(self.data), tuple(self.pointers)

    def _value(self) -> None:
        cursor = self.cursor
        if cursor.accept("{"):
            while not cursor.accept("}"):
                self._value()
                if not cursor.at("}"):
                    cursor.expect(",")
            return
        token = cursor.next
        if token.kind == "word":
            self._pointer()
            return
        sign = -1 if cursor.accept("-") else 1
        token = cursor.take()
        if token.kind == "int":
            value = sign * integer(token.text)
            if self.kind.kind == "f":
                self.data += struct.pack(_FLOATS[self.kind.bytes], value)
                return
            self.data += (value & ((1 << self.kind.bits) - 1)).to_bytes(self.kind.bytes, "little")
        elif token.kind == "float":
            self._float(token.text, sign)
        else:
            raise cursor.error(f"'{token.text}' is no initial value", token)

    def _float(self, text: str, sign: int) -> None:
        bits, kind = float_bits(text)
        width = 4 if kind == "f32" else 8
        unpack: Callable[[bytes], tuple[float]] = struct.Struct(_FLOATS[width]).unpack
        if width == self.kind.bytes and sign > 0:
            self.data += bits.to_bytes(width, "little")
        else:
            value = sign * unpack(bits.to_bytes(width, "little"))[0]
            self.data += struct.pack(_FLOATS[self.kind.bytes], value)

    def _pointer(self) -> None:
        cursor = self.cursor
        name = cursor.word("a name")
        if name == "generic" and cursor.accept("("):
            name = cursor.word("a name")
            cursor.expect(")")
        elif cursor.at("("):
            raise cursor.error("masked addresses in an initialiser are not supported")
        addend = cursor.integer() if cursor.accept("+") else 0
        self.pointers.append((len(self.data), name, addend))
        self.data += bytes(self.kind.bytes)
