"""What the parser makes of a PTX module."""

from dataclasses import dataclass, field
from functools import cached_property
from typing import TypeAlias

from stepwell.runtime.simulator.ptx.types import TYPES, PtxType


@dataclass(frozen=True, slots=True)
class Register:
    """A register of an entry; ``slot`` numbers all registers of the entry."""

    name: str
    slot: int
    type: PtxType


@dataclass(frozen=True, slots=True)
class Special:
    """A special register, such as %tid.x."""

    name: str


@dataclass(frozen=True, slots=True)
class Immediate:
    """A constant: an integer, or the bits of a floating-point number (``kind`` "f32" or "f64")."""

    value: int
    kind: str = "int"


@dataclass(frozen=True, slots=True)
class Symbol:
    """The name of a variable, a parameter or a function."""

    name: str


@dataclass(frozen=True, slots=True)
class Label:
    """A place in the code; ``target`` is the index of the instruction that follows it."""

    name: str
    target: int


@dataclass(frozen=True, slots=True)
class Sink:
    """The operand ``_``: a result that nobody wants."""


@dataclass(frozen=True, slots=True)
class Not:
    """A negated predicate operand, ``!p``."""

    operand: Register


@dataclass(frozen=True, slots=True)
class Vector:
    """Operands in braces."""

    elements: tuple["Operand", ...]


@dataclass(frozen=True, slots=True)
class Pair:
    """Two results with a bar between, ``d|p``."""

    first: "Operand"
    second: "Operand"


@dataclass(frozen=True, slots=True)
class Address:
    """A memory operand, ``[base + offset]``; a tensor copy's ``[map, {x, y}]`` has more operands inside.

    ``base`` is None for an absolute address.
    """

    base: "Register | Symbol | None"
    offset: int = 0
    rest: tuple["Operand", ...] = ()


Operand: TypeAlias = Register | Special | Immediate | Symbol | Label | Sink | Not | Vector | Pair | Address


@dataclass(frozen=True, slots=True)
class Guard:
    """The predicate of an instruction, ``@p`` or ``@!p``."""

    register: Register
    negated: bool


@dataclass(frozen=True)
class Instruction:
    """One instruction.

    Attributes:
        name: the opcode's first word: "add".
        modifiers: its other words, in order: ("rn", "f32"); "shared::cta" is one word.
        operands: as written.
        guard: predicate that decides which threads execute it, or None.
        line: line in the PTX text, from 1.
        source: file and line of the last .loc before it, or None.
        text: the instruction as written, on one line.
    """

    name: str
    modifiers: tuple[str, ...]
    operands: tuple[Operand, ...]
    guard: Guard | None = None
    line: int = 0
    source: tuple[str, int] | None = None
    text: str = ""

    @property
    def opcode(self) -> str:
        """The whole opcode, as in PTX: "add.rn.f32"."""
        return ".".join((self.name, *self.modifiers))

    @cached_property
    def types(self) -> tuple[str, ...]:
        """The modifiers that are types, in order."""
        return tuple(word for word in self.modifiers if word in TYPES)

    def has(self, *modifiers: str) -> bool:
        """Whether any of the modifiers is there."""
        return any(word in self.modifiers for word in modifiers)

    def one_of(self, *modifiers: str, default: str = "") -> str:
        """Return the first of the modifiers that is there, else the default."""
        return next((word for word in modifiers if word in self.modifiers), default)


@dataclass(frozen=True)
class Parameter:
    """A parameter of an entry or function: ``size`` bytes at ``offset`` of the parameter buffer."""

    name: str
    size: int
    align: int
    offset: int


@dataclass(frozen=True)
class Variable:
    """A variable in memory.

    Attributes:
        space: "global", "const", "shared", "local" or "param".
        size: bytes; 0 for an external array without extent.
        data: its initial bytes; the rest is zero. None for no initialiser.
        pointers: (offset, symbol, addend) of each initialiser that is an address.
        external: whether it is declared extern: for shared memory, the dynamic part.
        offset: of shared and local variables, from the first byte of the block's or thread's own.
    """

    name: str
    space: str
    size: int
    align: int
    data: bytes | None = None
    pointers: tuple[tuple[int, str, int], ...] = ()
    external: bool = False
    offset: int = 0


@dataclass
class Entry:
    """A kernel with every call expanded, as the machine runs it.

    Attributes:
        parameters: in order; ``parameter_bytes`` is the size of their buffer.
        registers: type of each register, by slot.
        variables: variables in shared and in local memory (parameters of calls among them), by name.
        shared_bytes: static shared memory; dynamic shared memory begins at ``dynamic_offset``.
        local_bytes: local memory of a thread.
        instructions: the code; the target of a Label operand is an index into it, or its length for the end.
        directives: performance directives: {"maxntid": (256,), "reqntid": ..., "explicitcluster": (), ...}.
        branch_tables: targets of each .branchtargets list, by name.
    """

    name: str
    parameters: tuple[Parameter, ...] = ()
    parameter_bytes: int = 0
    registers: list[PtxType] = field(default_factory=list)
    variables: dict[str, Variable] = field(default_factory=dict)
    shared_bytes: int = 0
    dynamic_offset: int = 0
    local_bytes: int = 0
    instructions: list[Instruction] = field(default_factory=list)
    directives: dict[str, tuple[int, ...]] = field(default_factory=dict)
    branch_tables: dict[str, tuple[int, ...]] = field(default_factory=dict)


@dataclass
class Module:
    """A PTX module.

    Attributes:
        version: of the PTX ISA, as (8, 6).
        target: "sm_90a".
        variables: at module scope, by name.
        entries: kernels, by name.
    """

    version: tuple[int, int]
    target: str
    address_size: int = 64
    variables: dict[str, Variable] = field(default_factory=dict)
    entries: dict[str, Entry] = field(default_factory=dict)
