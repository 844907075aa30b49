"""Reads what ``elf.Image`` needs of an ELF object file, and refuses the rest.

Format: System V ABI, AMD64 supplement, chapters 4.1 to 4.4.
"""

import struct
from dataclasses import dataclass
from enum import IntEnum

from stepwell.support.errors import ObjectError

WRITABLE, ALLOCATED, EXECUTABLE, _THREAD_LOCAL = 0x1, 0x2, 0x4, 0x400

_PROGBITS, _SYMBOLS, _RELA, _NO_DATA, _REL = 1, 2, 4, 8, 9
_UNWIND = 0x70000001
_UNDEFINED, _ABSOLUTE, _COMMON = 0, 0xFFF1, 0xFFF2
_FUNCTION, _FILE, _TLS, _INDIRECT = 2, 4, 6, 10
_MAX_ALIGNMENT = 4096


class RelocationKind(IntEnum):
    """The relocations that the loader applies."""

    ABSOLUTE_64 = 1
    PC_32 = 2
    PLT_32 = 4
    GOT_PC_32 = 9
    PC_64 = 24
    GOT_PC_32_RELAXABLE = 41
    GOT_PC_32_REX_RELAXABLE = 42


GOT_RELATIVE = (
    RelocationKind.GOT_PC_32,
    RelocationKind.GOT_PC_32_RELAXABLE,
    RelocationKind.GOT_PC_32_REX_RELAXABLE,
)
_EIGHT_BYTES = (RelocationKind.ABSOLUTE_64, RelocationKind.PC_64)


@dataclass(frozen=True)
class Section:
    """A section that takes memory; ``data`` is shorter than ``size`` where the rest is zero."""

    name: str
    flags: int
    size: int
    alignment: int
    data: bytes


@dataclass(frozen=True)
class Symbol:
    """A symbol at ``value`` in section ``section``."""

    name: str
    section: int
    value: int
    size: int
    is_global: bool
    is_function: bool

    @property
    def is_undefined(self) -> bool:
        """True for one that another library defines."""
        return self.section == _UNDEFINED and bool(self.name)


@dataclass(frozen=True)
class Relocation:
    """A place at ``offset`` of section ``section`` that refers to symbol number ``symbol``."""

    section: int
    offset: int
    kind: RelocationKind
    symbol: int
    addend: int


@dataclass(frozen=True)
class ObjectFile:
    """A parsed object: sections by their number, symbols and relocations in file order."""

    name: str
    sections: dict[int, Section]
    symbols: tuple[Symbol, ...]
    relocations: tuple[Relocation, ...]

    @property
    def undefined(self) -> frozenset[str]:
        """Names that other libraries must define."""
        return frozenset(symbol.name for symbol in self.symbols if symbol.is_undefined)


@dataclass(frozen=True)
class _Header:
    name: int
    type: int
    flags: int
    offset: int
    size: int
    link: int
    info: int
    alignment: int


def parse_object(name: str, data: bytes) -> ObjectFile:
    """Parse an object file; ``name`` is used in messages.  Raises ObjectError for anything but what llc writes."""
    try:
        return _Parser(name, data).parse()
    except (struct.error, IndexError, UnicodeDecodeError) as error:
        raise ObjectError(f"object '{name}' is damaged: {error}") from error


class _Parser:
    def __init__(self, name: str, data: bytes) -> None:
        self.name = name
        self.data = data

    def parse(self) -> ObjectFile:
        # Magic, 64 bits, little endian, version 1; then type "relocatable" and machine x86-64.
        if self.data[:7] != b"\x7fELF\x02\x01\x01" or struct.unpack_from("<HH", self.data, 16) != (1, 62):
            raise ObjectError(f"object '{self.name}' is not a relocatable x86-64 ELF file")
        headers = self._headers()
        self.sections = {
            index: self._section(header) for index, header in enumerate(headers) if self._is_loaded(header)
        }
        tables = [header for header in headers if header.type == _SYMBOLS]
        if len(tables) != 1:
            raise ObjectError(f"object '{self.name}' has {len(tables)} symbol tables")
        strings = self._bytes(headers[tables[0].link])
        symbols = tuple(self._symbol(entry, strings) for entry in struct.iter_unpack("<IBBHQQ", self._bytes(tables[0])))
        relocations = [
            self._relocation(header.info, entry, symbols)
            for header in headers
            if header.type == _RELA and header.info in self.sections
            for entry in struct.iter_unpack("<QQq", self._bytes(header))
        ]
        return ObjectFile(self.name, self.sections, symbols, tuple(relocations))

    def _headers(self) -> list[_Header]:
        (start,) = struct.unpack_from("<Q", self.data, 40)
        entry, count, names = struct.unpack_from("<HHH", self.data, 58)
        headers = []
        for index in range(count):
            label, kind, flags, _, offset, size, link, info, alignment, _ = struct.unpack_from(
                "<IIQQQQIIQQ", self.data, start + index * entry
            )
            headers.append(_Header(label, kind, flags, offset, size, link, info, alignment))
        self.section_names = self._bytes(headers[names])
        return headers

    def _bytes(self, header: _Header) -> bytes:
        data = self.data[header.offset : header.offset + header.size]
        if len(data) != header.size:
            raise ObjectError(f"object '{self.name}' is cut short")
        return data

    def _is_loaded(self, header: _Header) -> bool:
        if header.type == _REL:
            raise ObjectError(f"object '{self.name}' has relocations without addends")
        if not header.flags & ALLOCATED:
            return False
        label = _text(self.section_names, header.name)
        # Kernels never throw, so unwind tables have no reader.
        if header.type == _UNWIND or label == ".eh_frame":
            return False
        if header.flags & _THREAD_LOCAL or header.type not in (_PROGBITS, _NO_DATA):
            raise ObjectError(f"object '{self.name}' has section '{label}' of a kind that the loader does not know")
        if header.flags & WRITABLE and header.flags & EXECUTABLE:
            raise ObjectError(f"object '{self.name}' has section '{label}' that is writable and executable")
        return True

    def _section(self, header: _Header) -> Section:
        label = _text(self.section_names, header.name)
        alignment = max(header.alignment, 1)
        if alignment > _MAX_ALIGNMENT or alignment & (alignment - 1):
            raise ObjectError(f"object '{self.name}' has section '{label}' with alignment {alignment}")
        data = b"" if header.type == _NO_DATA else self._bytes(header)
        return Section(label, header.flags, header.size, alignment, data)

    def _symbol(self, entry: tuple[int, int, int, int, int, int], strings: bytes) -> Symbol:
        label, info, _, section, value, size = entry
        name, kind = _text(strings, label), info & 15
        reserved = section >= 0xFF00 and not (section == _ABSOLUTE and kind == _FILE)
        if kind in (_TLS, _INDIRECT) or reserved:
            raise ObjectError(f"object '{self.name}' has symbol '{name}' of a kind that the loader does not know")
        if section in self.sections and value > self.sections[section].size:
            raise ObjectError(f"object '{self.name}' has symbol '{name}' outside its section")
        return Symbol(name, section, value, size, bool(info >> 4), kind == _FUNCTION)

    def _relocation(self, section: int, entry: tuple[int, int, int], symbols: tuple[Symbol, ...]) -> Relocation:
        offset, info, addend = entry
        try:
            kind = RelocationKind(info & 0xFFFFFFFF)
        except ValueError:
            raise ObjectError(
                f"object '{self.name}' has a relocation of type {info & 0xFFFFFFFF}, which the loader does not know",
                fix="compile with relocation-model=pic and code-model=small",
            ) from None
        width = 8 if kind in _EIGHT_BYTES else 4
        if offset + width > len(self.sections[section].data) or info >> 32 >= len(symbols):
            raise ObjectError(f"object '{self.name}' has a relocation outside its section")
        return Relocation(section, offset, kind, info >> 32, addend)


def _text(strings: bytes, offset: int) -> str:
    return strings[offset : strings.index(b"\0", offset)].decode()
