"""Parses the body of a kernel, and of every function that it calls, in place."""

from dataclasses import dataclass, replace

from stepwell.runtime.simulator.ptx.cursor import Cursor
from stepwell.runtime.simulator.ptx.declarations import parse_register_type, parse_variables
from stepwell.runtime.simulator.ptx.lexer import Token, syntax_error
from stepwell.runtime.simulator.ptx.module import (
    Address,
    Entry,
    Guard,
    Instruction,
    Label,
    Operand,
    Parameter,
    Symbol,
    Variable,
    Vector,
)
from stepwell.runtime.simulator.ptx.operands import OperandParser, Unresolved
from stepwell.runtime.simulator.ptx.scopes import Scopes
from stepwell.support.errors import PtxSyntaxError, UnsupportedPtxError

_MAY_NAME = (Unresolved, Vector, Address)
"""Operands in which a name may stand that was not known yet."""


@dataclass(frozen=True)
class Function:
    """A device function: its formal parameters, and where the tokens of its body begin (None without a body)."""

    name: str
    results: tuple[Parameter, ...]
    parameters: tuple[Parameter, ...]
    body: int | None


@dataclass(frozen=True)
class Surroundings:
    """What a body may refer to: the module's functions, variables and source files."""

    functions: dict[str, Function]
    variables: dict[str, Variable]
    files: dict[int, str]


class BodyParser:
    """Parses one entry.

    Args:
        cursor: stands after the opening brace of the body.
        entry: with name and parameters; gets everything else.
        around: the module's names.
    """

    def __init__(self, cursor: Cursor, entry: Entry, around: Surroundings) -> None:
        self.cursor = cursor
        self.entry = entry
        self.around = around
        self.scopes = Scopes(entry, around.variables)
        self.code: list[Instruction] = []
        self.source: tuple[str, int] | None = None
        self.calls: list[str] = []

    def parse(self) -> None:
        """Parse up to the closing brace."""
        self._block(self.cursor)
        end = -(-self.entry.shared_bytes // self._dynamic_align()) * self._dynamic_align()
        self.entry.dynamic_offset = end
        for name, one in self.entry.variables.items():
            if one.external:
                self.entry.variables[name] = replace(one, offset=end)
        self.entry.instructions = [self._resolved(ins) for ins in self.code]

    def _dynamic_align(self) -> int:
        return max((one.align for one in self.entry.variables.values() if one.external), default=1)

    def _block(self, cursor: Cursor, function_end: str | None = None) -> None:
        """Parse statements up to and with the closing brace; in a function, ``ret`` goes to the label of its end."""
        while not cursor.accept("}"):
            token = cursor.next
            if token.kind == "end":
                raise cursor.error("the body is never closed")
            if cursor.accept("{"):
                around = self.scopes.enter()
                self._block(cursor, function_end)
                self.scopes.leave(around)
            elif token.kind == "dot":
                self._directive(cursor)
            elif token.kind == "word" and cursor.tokens[cursor.position + 1].text == ":":
                self._label(cursor)
            elif not cursor.accept(";"):
                self._instruction(cursor, function_end)

    def _label(self, cursor: Cursor) -> None:
        token = cursor.take()
        cursor.expect(":")
        if cursor.accept(".branchtargets"):
            names = [self._branch_target(cursor)]
            while cursor.accept(","):
                names.append(self._branch_target(cursor))
            cursor.expect(";")
            unique = f"{token.text}@{len(self.code)}"
            self.entry.branch_tables[unique] = tuple(names)  # type: ignore[arg-type]  # resolved at the end
            self.scopes.place_table(token.text, unique)
        elif not self.scopes.place_label(token.text, len(self.code)):
            raise cursor.error(f"the label '{token.text}' is defined twice", token)

    def _branch_target(self, cursor: Cursor) -> Unresolved:
        line = cursor.next.line
        return Unresolved(cursor.word("a label"), self.scopes.current, line)

    def _directive(self, cursor: Cursor) -> None:
        token = cursor.take()
        if token.text == ".reg":
            self._registers(cursor)
        elif token.text in (".shared", ".local", ".param"):
            for variable in parse_variables(cursor, token.text[1:]):
                self.scopes.declare_variable(variable)
        elif token.text == ".loc":
            rest = cursor.rest_of_line()
            number, line = int(rest[0].text), int(rest[1].text)
            self.source = (self.around.files.get(number, f"file {number}"), line) if line else None
        elif token.text == ".pragma":
            while not cursor.accept(";"):
                cursor.take()
        else:
            raise cursor.error(f"the directive '{token.text}' is not known in a body", token)

    def _registers(self, cursor: Cursor) -> None:
        kind = parse_register_type(cursor)
        while True:
            name = cursor.word("a register's name")
            count = None
            if cursor.accept("<"):
                count = cursor.integer()
                cursor.expect(">")
            self.scopes.declare_registers(name, kind, count)
            if not cursor.accept(","):
                break
        cursor.expect(";")

    def _instruction(self, cursor: Cursor, function_end: str | None) -> None:
        first = cursor.next
        parser = OperandParser(cursor, self.scopes.find)
        guard = parser.guard()
        name = cursor.word("an instruction")
        modifiers: list[str] = []
        while cursor.next.kind == "dot":
            modifiers.append(cursor.take().text[1:])
        if name == "call":
            self._call(cursor, first, guard)
            return
        operands = parser.operands()
        cursor.expect(";")
        if name == "ret" and function_end is not None:
            name, modifiers, operands = "bra", [], [Unresolved(function_end, self.scopes.current, first.line)]  # type: ignore[list-item]
        self.code.append(
            Instruction(name, tuple(modifiers), tuple(operands), guard, first.line, self.source, cursor.text(first))
        )

    def _call(self, cursor: Cursor, first: Token, guard: Guard | None) -> None:
        results = self._arguments(cursor)
        if results and not cursor.accept(","):
            raise cursor.error("expected ',' after the results of a call")
        token = cursor.next
        name = cursor.word("a function")
        arguments = self._arguments(cursor) if cursor.accept(",") else []
        while not cursor.accept(";"):
            cursor.take()
        function = self.around.functions.get(name)
        if function is None or function.body is None:
            raise self._unsupported(cursor, token, f"a call of '{name}', which has no body here")
        if name in self.calls:
            raise self._unsupported(cursor, token, f"the recursive call of '{name}'")
        formals = (*function.results, *function.parameters)
        if len(formals) != len(results) + len(arguments):
            raise cursor.error(f"'{name}' takes {len(formals)} parameters and results", token)
        end = f"end of {name}@{len(self.code)}"
        around = self.scopes.enter()
        if guard is not None:
            skip = Unresolved(end, self.scopes.current, first.line)
            inverse = replace(guard, negated=not guard.negated)
            self.code.append(
                Instruction("bra", (), (skip,), inverse, first.line, self.source, cursor.text(first))  # type: ignore[arg-type]
            )
        self._expand(function, list(zip(formals, (*results, *arguments), strict=True)), end)
        self.scopes.leave(around)

    def _expand(self, function: Function, bound: list[tuple[Parameter, str]], end: str) -> None:
        """Parse a function's body here, its formal parameters bound to the caller's variables."""
        assert function.body is not None
        inner = Cursor(self.cursor.tokens, self.cursor.lines, function.body)
        caller = self.scopes.current
        self.scopes.enter(function=True)
        for formal, unique in bound:
            self.scopes.alias(formal.name, unique)
        self.calls.append(function.name)
        source = self.source
        self._block(inner, end)
        self.source = source
        self.calls.pop()
        # The end is a label of the function's block, and of the call's for a guard that skips it.
        self.scopes.place_label(end, len(self.code))
        self.scopes.leave(caller)
        self.scopes.place_label(end, len(self.code))

    def _arguments(self, cursor: Cursor) -> list[str]:
        found: list[str] = []
        if not cursor.accept("("):
            return found
        while not cursor.accept(")"):
            if found:
                cursor.expect(",")
            token = cursor.next
            operand = OperandParser(cursor, self.scopes.find).operand()
            if not isinstance(operand, Symbol):
                raise self._unsupported(cursor, token, "a call with an argument that is no .param variable")
            found.append(operand.name)
        return found

    def _unsupported(self, cursor: Cursor, token: Token, what: str) -> UnsupportedPtxError:
        error = UnsupportedPtxError(f"{what} is not supported")
        error.entry, error.ptx_line = self.entry.name, token.line
        error.instruction = " ".join(cursor.lines[token.line - 1].split())
        return error

    def _resolved(self, ins: Instruction) -> Instruction:
        if not any(isinstance(operand, _MAY_NAME) for operand in ins.operands):
            return ins
        operands = tuple(self._resolve(operand, ins) for operand in ins.operands)
        for operand in operands:
            if isinstance(operand, Symbol) and operand.name in self.entry.branch_tables:
                self._resolve_table(operand.name)
        return replace(ins, operands=operands) if operands != ins.operands else ins

    def _resolve_table(self, name: str) -> None:
        targets: list[int] = []
        for place in self.entry.branch_tables[name]:
            if isinstance(place, int):
                return
            label = self.scopes.label(place)
            if not isinstance(label, Label):
                raise self._undeclared(place.name, place.line)
            targets.append(label.target)
        self.entry.branch_tables[name] = tuple(targets)

    def _resolve(self, operand: "Operand | Unresolved", ins: Instruction) -> Operand:
        if isinstance(operand, Unresolved):
            found = self.scopes.label(operand)
            if found is None:
                raise self._undeclared(operand.name, ins.line)
            return found
        if isinstance(operand, Vector):
            return Vector(tuple(self._resolve(element, ins) for element in operand.elements))
        if isinstance(operand, Address) and isinstance(operand.base, Unresolved):
            raise self._undeclared(operand.base.name, ins.line)
        return operand

    def _undeclared(self, name: str, line: int) -> PtxSyntaxError:
        return syntax_error(f"'{name}' is not declared", line, self.cursor.lines[line - 1])
