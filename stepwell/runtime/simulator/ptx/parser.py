"""Parses a PTX module. Source: PTX ISA, "Syntax", "State Spaces, Types, and Variables", "Directives"."""

from stepwell.runtime.simulator.ptx.body import BodyParser, Function, Surroundings
from stepwell.runtime.simulator.ptx.cursor import Cursor
from stepwell.runtime.simulator.ptx.declarations import parse_parameters, parse_variables
from stepwell.runtime.simulator.ptx.lexer import Token, tokenize
from stepwell.runtime.simulator.ptx.module import Entry, Module, Variable

_LINKING = (".visible", ".extern", ".weak", ".common")
_SPACES = (".global", ".const", ".shared")


def parse(text: str) -> Module:
    """Parse PTX text. Raises PtxSyntaxError, or UnsupportedPtxError for what the simulator cannot take."""
    return _ModuleParser(text).parse()


class _ModuleParser:
    def __init__(self, text: str) -> None:
        self.cursor = Cursor(tokenize(text), text.split("\n"))
        self.module = Module((0, 0), "")
        self.functions: dict[str, Function] = {}
        self.files: dict[int, str] = {}
        self.bodies: list[tuple[Entry, int]] = []

    def parse(self) -> Module:
        cursor = self.cursor
        while cursor.next.kind != "end":
            external = False
            while cursor.at(*_LINKING):
                external = cursor.take().text == ".extern" or external
            self._item(cursor.take(), external)
        if not self.module.target:
            raise cursor.error("the module has no .target")
        around = Surroundings(self.functions, self.module.variables, self.files)
        for entry, start in self.bodies:
            BodyParser(Cursor(cursor.tokens, cursor.lines, start), entry, around).parse()
        return self.module

    def _item(self, token: Token, external: bool) -> None:
        cursor = self.cursor
        match token.text:
            case ".version":
                major, _, minor = cursor.take().text.partition(".")
                self.module.version = (int(major), int(minor or 0))
            case ".target":
                self.module.target = cursor.word("an architecture")
                while cursor.accept(","):
                    cursor.take()
            case ".address_size":
                self.module.address_size = cursor.integer()
                if self.module.address_size != 64:
                    raise cursor.error("only 64-bit addresses are supported", token)
            case ".file":
                number, name, *_ = cursor.rest_of_line()
                self.files[int(number.text)] = name.text.strip('"')
            case ".section":
                cursor.take()
                cursor.skip_braces()
            case ".pragma":
                while not cursor.accept(";"):
                    cursor.take()
            case ".entry":
                self._entry()
            case ".func":
                self._function()
            case space if space in _SPACES:
                self._variables(parse_variables(cursor, space[1:], external=external))
            case _:
                raise cursor.error(f"'{token.text}' is not known at the level of a module", token)

    def _variables(self, variables: list[Variable]) -> None:
        for variable in variables:
            self.module.variables.setdefault(variable.name, variable)

    def _entry(self) -> None:
        cursor = self.cursor
        token = cursor.next
        entry = Entry(cursor.word("a kernel's name"))
        if cursor.at("("):
            entry.parameters, entry.parameter_bytes = parse_parameters(cursor)
        entry.directives = self._directives()
        if cursor.accept(";"):
            return
        if entry.name in self.module.entries:
            raise cursor.error(f"the kernel '{entry.name}' is defined twice", token)
        self.module.entries[entry.name] = entry
        self.bodies.append((entry, cursor.skip_braces()))

    def _function(self) -> None:
        cursor = self.cursor
        results = parse_parameters(cursor)[0] if cursor.at("(") else ()
        name = cursor.word("a function's name")
        parameters = parse_parameters(cursor)[0] if cursor.at("(") else ()
        self._directives()
        body = None if cursor.accept(";") else cursor.skip_braces()
        known = self.functions.get(name)
        if known is None or known.body is None:
            self.functions[name] = Function(name, results, parameters, body)

    def _directives(self) -> dict[str, tuple[int, ...]]:
        """Parse performance and other directives between a header and its body."""
        cursor = self.cursor
        found: dict[str, tuple[int, ...]] = {}
        while cursor.next.kind == "dot":
            name = cursor.take().text[1:]
            numbers: list[int] = []
            if name == "pragma":
                while not cursor.accept(";"):
                    cursor.take()
                continue
            while cursor.next.kind == "int":
                numbers.append(cursor.integer())
                cursor.accept(",")
            found[name] = tuple(numbers)
        return found
