"""The names of an entry's body: registers, variables and labels, in nested blocks."""

import re
from dataclasses import dataclass, field

from stepwell.runtime.simulator.ptx.module import Entry, Label, Operand, Register, Symbol, Variable
from stepwell.runtime.simulator.ptx.operands import Unresolved
from stepwell.runtime.simulator.ptx.types import PtxType

_NUMBERED = re.compile(r"(.*?)(\d+)")


@dataclass
class _Scope:
    parent: int | None
    registers: dict[str, Register] = field(default_factory=dict)
    ranges: dict[str, tuple[int, PtxType]] = field(default_factory=dict)
    variables: dict[str, str] = field(default_factory=dict)
    labels: dict[str, int] = field(default_factory=dict)
    tables: dict[str, str] = field(default_factory=dict)


class Scopes:
    """The blocks of an entry, calls expanded: a function's body is a block that sees no names of its caller.

    Args:
        entry: gets the registers and the variables; its parameters are known everywhere in its own body.
        outer: the variables of the module. Those in shared memory are laid out in the entry that uses them.
    """

    def __init__(self, entry: Entry, outer: dict[str, Variable]) -> None:
        self.entry = entry
        self.outer = outer
        self.shared: dict[str, str] = {}
        self.scopes = [_Scope(None, variables={one.name: one.name for one in entry.parameters})]
        self.current = 0

    def enter(self, *, function: bool = False) -> int:
        """Open a block; return the number of the one around it."""
        around = self.current
        self.scopes.append(_Scope(None if function else around))
        self.current = len(self.scopes) - 1
        return around

    def leave(self, around: int) -> None:
        """Close the block."""
        self.current = around

    def declare_registers(self, name: str, kind: PtxType, count: int | None) -> None:
        """Declare a register, or ``count`` numbered ones."""
        scope = self.scopes[self.current]
        if count is None:
            scope.registers[name] = self._register(name, kind)
        else:
            scope.ranges[name] = (count, kind)

    def declare_variable(self, variable: Variable) -> str:
        """Declare a variable in shared or local memory; return its name in the entry, which is unique."""
        name, number = variable.name, 1
        while name in self.entry.variables or self.outer.get(name, variable) is not variable:
            number += 1
            name = f"{variable.name}@{number}"
        space = "local" if variable.space == "param" else variable.space
        used = self.entry.shared_bytes if space == "shared" else self.entry.local_bytes
        offset = -(-used // variable.align) * variable.align
        placed = Variable(
            name, space, variable.size, variable.align, variable.data, variable.pointers, variable.external, offset
        )
        self.entry.variables[name] = placed
        if not placed.external and space == "shared":
            self.entry.shared_bytes = offset + placed.size
        elif not placed.external:
            self.entry.local_bytes = offset + placed.size
        self.scopes[self.current].variables[variable.name] = name
        return name

    def alias(self, name: str, unique: str) -> None:
        """Let a name of the current block mean a variable of the entry."""
        self.scopes[self.current].variables[name] = unique

    def place_label(self, name: str, position: int) -> bool:
        """Define a label; whether it was not defined before in its block."""
        labels = self.scopes[self.current].labels
        return labels.setdefault(name, position) == position

    def place_table(self, name: str, unique: str) -> None:
        """Define a list of branch targets."""
        self.scopes[self.current].tables[name] = unique

    def find(self, name: str) -> Operand | Unresolved | None:
        """Return what a name means, as ``operands.Names`` says."""
        number: int | None = self.current
        while number is not None:
            scope = self.scopes[number]
            if name in scope.registers:
                return scope.registers[name]
            if name in scope.variables:
                return Symbol(scope.variables[name])
            found = _NUMBERED.fullmatch(name)
            if found is not None and found.group(1) in scope.ranges:
                count, kind = scope.ranges[found.group(1)]
                if int(found.group(2)) < count:
                    scope.registers[name] = self._register(name, kind)
                    return scope.registers[name]
            number = scope.parent
        if name in self.outer:
            return Symbol(self._shared(name) if self.outer[name].space == "shared" else name)
        return None if name.startswith("%") else Unresolved(name, self.current, 0)

    def label(self, place: Unresolved) -> Label | Symbol | None:
        """Return the label or the list of branch targets that a name means, once all are placed."""
        number: int | None = place.scope
        while number is not None:
            scope = self.scopes[number]
            if place.name in scope.labels:
                return Label(place.name, scope.labels[place.name])
            if place.name in scope.tables:
                return Symbol(scope.tables[place.name])
            number = scope.parent
        return None

    def _shared(self, name: str) -> str:
        if name not in self.shared:
            self.shared[name] = self.declare_variable(self.outer[name])
        return self.shared[name]

    def _register(self, name: str, kind: PtxType) -> Register:
        self.entry.registers.append(kind)
        return Register(name, len(self.entry.registers) - 1, kind)
