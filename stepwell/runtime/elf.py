"""Loads x86-64 ELF object files (``llc -filetype=obj``) into this process, without a linker.

Several objects become one image of three regions: code (read, execute), constants (read) and data (read, write).
Nothing is writable and executable at once.  Code refers to its own image relative to the instruction pointer, so that
an image may lie anywhere; calls that leave it go through a stub and a table of addresses.  Everything the loader does
not know is refused before a byte of code could run.
"""

import mmap
import os
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from stepwell.runtime.elf_object import (
    EXECUTABLE,
    GOT_RELATIVE,
    WRITABLE,
    ObjectFile,
    RelocationKind,
    Symbol,
    parse_object,
)
from stepwell.runtime.memory import Pages
from stepwell.support.errors import ObjectError

_STUB = b"\xff\x25"  # jmp qword ptr [rip + disp32]
_STUB_SIZE = 8
_SLOT_SIZE = 8


@dataclass
class _Region:
    """A run of pages with one protection; ``fill`` bytes of it are taken."""

    start: int = 0
    fill: int = 0

    def take(self, size: int, alignment: int) -> int:
        offset = -(-self.fill // alignment) * alignment
        self.fill = offset + size
        return offset


class Image:
    """Loaded objects.  Addresses in it are valid while it lives.

    Args:
        objects: ELF object files by name; each has its own name space.
        resolve: gives the address of a function that no object defines, or raises.
    """

    def __init__(self, objects: Mapping[str, bytes], resolve: Callable[[str], int]) -> None:
        self._objects = {name: parse_object(name, data) for name, data in objects.items()}
        self._resolve = resolve
        self._code, self._constants, self._data = _Region(), _Region(), _Region()
        self._places: dict[tuple[str, int], tuple[_Region, int]] = {}
        self._lay_out()
        self._slots: dict[int, int] = {}
        self._stubs: dict[int, int] = {}
        self._pages = Pages(self._data.start + self._data.fill)
        for objectfile in self._objects.values():
            self._copy(objectfile)
        for objectfile in self._objects.values():
            self._relocate(objectfile)
        self._pages.protect(self._code.start, self._constants.start, execute=True)
        self._pages.protect(self._constants.start, self._data.start, execute=False)

    def address(self, name: str, symbol: str) -> int:
        """Return the address of global function ``symbol`` of object ``name``; raises ObjectError."""
        objectfile = self._objects.get(name)
        for found in objectfile.symbols if objectfile else ():
            if found.name == symbol and found.is_global and (name, found.section) in self._places:
                return self._symbol_address(name, found)
        raise ObjectError(f"object '{name}' defines no function '{symbol}'")

    def functions(self) -> list[tuple[int, int, str]]:
        """Return (address, bytes, name) of all functions, for profilers."""
        return [
            (self._symbol_address(name, symbol), symbol.size, symbol.name)
            for name, objectfile in self._objects.items()
            for symbol in objectfile.symbols
            if symbol.is_function and (name, symbol.section) in self._places
        ]

    def write_perf_map(self, path: Path | None = None) -> Path:
        """Append the functions to the map that ``perf report`` reads, ``/tmp/perf-PID.map``; return its path."""
        path = path or Path(f"/tmp/perf-{os.getpid()}.map")
        with path.open("a") as file:
            file.writelines(f"{address:x} {size:x} stepwell:{name}\n" for address, size, name in self.functions())
        return path

    def _lay_out(self) -> None:
        for name, objectfile in self._objects.items():
            for index, section in objectfile.sections.items():
                region = self._constants
                if section.flags & EXECUTABLE:
                    region = self._code
                elif section.flags & WRITABLE:
                    region = self._data
                self._places[name, index] = (region, region.take(section.size, section.alignment))
        externals = {
            (name, relocation.symbol)
            for name, objectfile in self._objects.items()
            for relocation in objectfile.relocations
            if objectfile.symbols[relocation.symbol].is_undefined or relocation.kind in GOT_RELATIVE
        }
        self._first_stub = self._code.take(len(externals) * _STUB_SIZE, _STUB_SIZE)
        self._first_slot = self._constants.take(len(externals) * _SLOT_SIZE, _SLOT_SIZE)
        self._constants.start = _round_to_pages(self._code.fill)
        self._data.start = self._constants.start + _round_to_pages(self._constants.fill)

    def _copy(self, objectfile: ObjectFile) -> None:
        for index, section in objectfile.sections.items():
            offset = self._offset(objectfile.name, index)
            self._pages.map[offset : offset + len(section.data)] = section.data

    def _offset(self, name: str, section: int) -> int:
        region, offset = self._places[name, section]
        return region.start + offset

    def _symbol_address(self, name: str, symbol: Symbol) -> int:
        if symbol.is_undefined:
            return self._resolve(symbol.name)
        if (name, symbol.section) not in self._places:
            raise ObjectError(f"object '{name}': symbol '{symbol.name}' lies in a section that is not loaded")
        return self._pages.address + self._offset(name, symbol.section) + symbol.value

    def _relocate(self, objectfile: ObjectFile) -> None:
        for relocation in objectfile.relocations:
            symbol = objectfile.symbols[relocation.symbol]
            offset = self._offset(objectfile.name, relocation.section) + relocation.offset
            here = self._pages.address + offset
            target = self._symbol_address(objectfile.name, symbol)
            match relocation.kind:
                case RelocationKind.ABSOLUTE_64:
                    self._store("<Q", offset, (target + relocation.addend) % 2**64)
                    continue
                case RelocationKind.PC_64:
                    self._store("<q", offset, target + relocation.addend - here)
                    continue
                case RelocationKind.PLT_32 if not -(2**31) <= target - here < 2**31 - 4096:
                    target = self._stub(target)
                case kind if kind in GOT_RELATIVE:
                    target = self._slot(target)
            value = target + relocation.addend - here
            if not -(2**31) <= value < 2**31:
                raise ObjectError(f"object '{objectfile.name}': '{symbol.name}' is out of reach of its user")
            self._store("<i", offset, value)

    def _store(self, form: str, offset: int, value: int) -> None:
        struct.pack_into(form, self._pages.map, offset, value)

    def _slot(self, target: int) -> int:
        if target not in self._slots:
            offset = self._constants.start + self._first_slot + len(self._slots) * _SLOT_SIZE
            self._store("<Q", offset, target)
            self._slots[target] = self._pages.address + offset
        return self._slots[target]

    def _stub(self, target: int) -> int:
        if target not in self._stubs:
            slot = self._slot(target)
            offset = self._first_stub + len(self._stubs) * _STUB_SIZE
            address = self._pages.address + offset
            code = _STUB + struct.pack("<i", slot - (address + len(_STUB) + 4))
            self._pages.map[offset : offset + len(code)] = code
            self._stubs[target] = address
        return self._stubs[target]


def _round_to_pages(size: int) -> int:
    return -(-size // mmap.PAGESIZE) * mmap.PAGESIZE
