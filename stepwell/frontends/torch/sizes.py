"""Symbolic sizes of an exported program as ``Expr``, under names that a user can recognise."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Any

import sympy
import torch

from stepwell.support.errors import ImportProgramError
from stepwell.support.signature import SymbolSpec
from stepwell.support.symbolic import Expr

_LEAST = -(2**63)


@dataclass(frozen=True)
class _Solved:
    """A size that is only seen as ``factor * size + offset``: it is computed from that dimension, ``symbol``."""

    symbol: Expr
    factor: int
    offset: int


@dataclass(frozen=True)
class Range:
    """A size that depends on data: its name, and the bounds that torch knows."""

    name: str
    minimum: int | None
    maximum: int | None


@dataclass
class SizeTable:
    """Names, bounds and example values of a program's symbolic sizes.

    Attributes:
        symbols: what each call binds, in order.
        examples: the value that each symbol had at export, where it is known.
        ranges: torch's range constraints, by its own symbols.
        given_names: names of the sizes that the user named, whose bounds are the user's.
    """

    symbols: tuple[SymbolSpec, ...] = ()
    examples: dict[str, int] = field(default_factory=dict)
    ranges: Mapping[Any, Any] = field(default_factory=dict)
    given_names: frozenset[str] = frozenset()
    _read: list[Range] = field(default_factory=list)
    _names: dict[Any, str] = field(default_factory=dict)
    _solved: dict[str, _Solved] = field(default_factory=dict)
    _given: dict[Any, Expr] = field(default_factory=dict)

    @property
    def names(self) -> frozenset[str]:
        """Names of all symbols."""
        read = {bounds.name for bounds in self._read}
        return frozenset(self._names.values()) | {spec.name for spec in self.symbols} | read

    def bind(self, size: Any) -> Range | None:
        """Name an unbacked SymInt, and return its range; None where it is known already.

        Raises:
            ImportProgramError: it is computed from what is not known.
        """
        expr = size.node.expr if isinstance(size, torch.SymInt) else size
        if isinstance(expr, int) or all(s in self._names or s in self._given for s in expr.free_symbols):
            return None
        if not expr.is_Symbol:
            raise ImportProgramError(f"size '{expr}' depends on data in a way that no single number tells")
        bounds = self.ranges.get(expr)
        ends = (None, None) if bounds is None else (bounds.lower, bounds.upper)
        minimum, maximum = (int(end) if end is not None and end.is_Integer else None for end in ends)
        name = self._names[expr] = _fresh_name(str(expr), set(self.names))
        self._read.append(Range(name, minimum, maximum))
        self.examples[name] = self._with_read({}, 3)[name]
        return self._read[-1]

    def is_new(self, size: Any) -> bool:
        """Tell whether a size depends on data that nothing has read yet."""
        return isinstance(size, torch.SymInt) and self.are_new(size.node.expr.free_symbols)

    def are_new(self, symbols: Any) -> bool:
        """Tell whether there is one that nothing has read among symbols of torch's."""
        return any(symbol not in self._names and symbol not in self._given for symbol in symbols)

    def new_name(self, wanted: str) -> str:
        """Return a name for what no symbol of torch's stands for."""
        name = _fresh_name(wanted, set(self.names))
        self._read.append(Range(name, None, None))
        self.examples[name] = 1
        return name

    def forget(self, size: Any) -> None:
        """Let an unbacked SymInt be bound anew, under another name."""
        self._names.pop(size.node.expr, None)

    def give(self, size: Any, value: Expr) -> None:
        """Let a SymInt that is new, as those of inner graphs are, stand for ``value``."""
        symbol = size.node.expr
        if symbol.is_Symbol and symbol not in self._names:
            self._given[symbol] = value

    def of_sympy(self, expr: Any) -> Expr:
        """Return torch's own form of a size as an expression; raises ImportProgramError as ``expr`` does."""
        return self._solve(self._from_sympy(expr))

    def expr(self, size: Any) -> Expr:
        """Return a size of the program (int, SymInt) as an expression.

        Raises:
            ImportProgramError: the size depends on data, or has a form that no expression covers.
        """
        if isinstance(size, torch.SymInt):
            return self.of_sympy(size.node.expr)
        return Expr.const(int(size))

    def sample_points(self) -> list[dict[str, int]]:
        """Return values for the symbols, the example first, at which two expressions can be compared.

        The others differ from the example by multiples of a highly composite number, so that whatever divisibility
        the program was exported under still holds.
        """
        points = [self._with_read(dict(self.examples), 3)]
        for step in (5040, 12):
            for seed in range(3):
                point = {}
                for position, spec in enumerate(self.symbols):
                    value = self.examples[spec.name] + step * (1 + (seed + 1) * (position + 1) % 7)
                    in_range = spec.maximum is None or value <= spec.maximum
                    point[spec.name] = value if in_range else self.examples[spec.name]
                points.append(self._with_read(point, 7 + step * seed))
        return points

    def _with_read(self, point: dict[str, int], wanted: int) -> dict[str, int]:
        """Add values near ``wanted`` for the sizes that depend on data."""
        for position, size in enumerate(self._read, start=1):
            value = max(wanted * position, size.minimum or 0)
            point[size.name] = value if size.maximum is None else min(value, size.maximum)
        return point

    def _solve(self, expr: Expr) -> Expr:
        if not self._solved or not expr.symbols & self._solved.keys():
            return expr
        total = Expr.const(0)
        rest = []
        for monomial, factor in expr.terms:
            name = monomial[0].name if len(monomial) == 1 else ""
            solved = self._solved.get(name)
            if solved is not None and factor % solved.factor == 0:
                total = total + (solved.symbol - solved.offset) * (factor // solved.factor)
            else:
                rest.append((monomial, factor))
        quotients = {name: (s.symbol - s.offset) // s.factor for name, s in self._solved.items()}
        return total + Expr(tuple(rest)).substitute(quotients)

    def _from_sympy(self, expr: Any) -> Expr:
        match type(expr).__name__, expr.args:
            case _, () if expr.is_Integer:
                return Expr.const(int(expr))
            case _, () if expr in self._given:
                return self._given[expr]
            case _, () if expr.is_Symbol:
                if expr not in self._names:
                    raise ImportProgramError(
                        f"size '{expr}' depends on the values of a tensor",
                        fix="sizes must follow from the sizes of the inputs; compute this one outside the program",
                    )
                return Expr.symbol(self._names[expr])
            case ("Add", args):
                return sum(map(self._from_sympy, args), Expr.const(0))
            case ("Mul", args):
                return self._product(expr, args)
            case ("Pow" | "PowByNatural", (base, exponent)) if exponent.is_Integer and exponent > 0:
                return self._product(expr, [base] * int(exponent))
            case ("FloorDiv" | "CleanDiv", (a, b)):
                return self._from_sympy(a) // self._from_sympy(b)
            case ("CeilDiv", (a, b)):
                return -(-self._from_sympy(a) // self._from_sympy(b))
            case ("Mod" | "PythonMod", (a, b)):
                return self._from_sympy(a) % self._from_sympy(b)
            case ("ModularIndexing", (a, b, c)):
                return self._from_sympy(a) // self._from_sympy(b) % self._from_sympy(c)
            case ("Max", args):
                return Expr.max(*map(self._from_sympy, args))
            case ("Min", args):
                return Expr.min(*map(self._from_sympy, args))
            case ("Identity", (inner,)):
                return self._from_sympy(inner)
            case ("FloorToInt" | "TruncToInt" | "floor", (inner,)):
                # Sizes are not negative, so truncation is the floor.
                numerator, denominator = self._quotient(inner)
                return numerator // denominator
            case ("CeilToInt" | "ceiling", (inner,)):
                numerator, denominator = self._quotient(inner)
                return -(-numerator // denominator)
        raise ImportProgramError(f"size '{expr}' has no form that stepwell can compute")

    def _product(self, expr: Any, args: Sequence[Any]) -> Expr:
        numerator, denominator = Expr.const(1), 1
        for arg in args:
            if arg.is_Rational:
                numerator, denominator = numerator * int(arg.p), denominator * int(arg.q)
            else:
                numerator = numerator * self._from_sympy(arg)
        return numerator // denominator

    def _quotient(self, expr: Any) -> tuple[Expr, Expr]:
        """Return a float-valued expression as a quotient of integers: scale factors of sizes, mostly."""
        numerator, denominator = Expr.const(1), Expr.const(1)
        for factor in expr.args if expr.is_Mul else (expr,):
            match type(factor).__name__, factor.args:
                case "ToFloat", (inner,):
                    numerator = numerator * self._from_sympy(inner)
                case (("IntTrueDiv" | "FloatTrueDiv"), (a, b)):
                    top, bottom = self._quotient(a), self._quotient(b)
                    numerator, denominator = numerator * top[0] * bottom[1], denominator * top[1] * bottom[0]
                case _ if factor.is_number:
                    ratio = sympy.Rational(str(factor)) if factor.is_Float else sympy.Rational(factor)
                    numerator, denominator = numerator * int(ratio.p), denominator * int(ratio.q)
                case _:
                    numerator = numerator * self._from_sympy(factor)
        return numerator, denominator


def size_table(arguments: Sequence[tuple[str, Any]], ranges: Mapping[Any, Any]) -> SizeTable:
    """Name the sizes that the arguments bring.

    Args:
        arguments: path and fake tensor per argument of main; a symbolic number for one that is a number.
        ranges: the exported program's range constraints, by sympy expression.

    Raises:
        ImportProgramError: a size cannot be computed from the arguments' dimensions.
    """
    table = SizeTable(ranges=ranges)
    dims = [
        (position, dim, path, size)
        for position, (path, value) in enumerate(arguments)
        for dim, size in enumerate(_sizes_of(value))
        if isinstance(size, torch.SymInt)
    ]
    given = _user_names(dims)
    # An integer has a name already.
    given = {value.node.expr: path for path, value in arguments if isinstance(value, torch.SymInt)} | given
    used: set[str] = set()
    specs: list[SymbolSpec] = []
    for position, dim, _, size in dims:
        expr = size.node.expr
        if expr.is_Symbol and expr not in table._names:
            name = table._names[expr] = _fresh_name(given.get(expr), used)
            lowest = 0 if isinstance(arguments[position][1], torch.Tensor) else _LEAST
            specs.append(_spec(name, position, dim, ranges.get(expr), lowest=lowest))
            table.examples[name] = _example(size, specs[-1])
    for position, dim, path, size in dims:
        expr = size.node.expr
        unknown = [symbol for symbol in expr.free_symbols if symbol not in table._names]
        if not unknown:
            continue
        factor, offset = _affine(expr, unknown, path, dim)
        wanted = _identifier(f"{path}_{dim}")
        name = _fresh_name(wanted, used)
        inner = _fresh_name(given.get(unknown[0]), used)
        table._names[unknown[0]] = inner
        table._solved[inner] = _Solved(Expr.symbol(name), factor, offset)
        specs.append(_spec(name, position, dim, ranges.get(expr), factor, offset % factor))
        table.examples[name] = _example(size, specs[-1])
    table.symbols = tuple(specs)
    table.given_names = frozenset(name for expr, name in table._names.items() if expr in given)
    return table


def _sizes_of(value: Any) -> Sequence[Any]:
    """Return what an argument tells of sizes: its shape, or itself where it is an integer."""
    if isinstance(value, torch.Tensor):
        return tuple(value.shape)
    return (value,) if isinstance(value, torch.SymInt) else ()


def _affine(expr: Any, unknown: Sequence[Any], path: str, dim: int) -> tuple[int, int]:
    """Return factor and offset of ``factor * unknown + offset``."""
    if len(unknown) == 1 and expr.free_symbols == set(unknown):
        polynomial = sympy.Poly(expr, unknown[0]) if expr.is_polynomial(unknown[0]) else None
        if polynomial is not None and polynomial.degree() == 1:
            factor, offset = polynomial.all_coeffs()
            if factor.is_Integer and offset.is_Integer and factor > 0:
                return int(factor), int(offset)
    raise ImportProgramError(
        f"size {dim} of '{path}' is '{expr}', and no input has {unknown[0]} as a size of its own",
        fix="give the program an input one of whose sizes is this symbol, or make the size static",
    )


def _user_names(dims: Sequence[tuple[int, int, str, Any]]) -> dict[Any, str]:
    """Return the names of ``torch.export.Dim`` objects, which torch's shape environment keeps beside its own."""
    names: dict[Any, str] = {}
    if not dims:
        return names
    environment = dims[0][3].node.shape_env
    debug_names = getattr(environment, "source_name_to_debug_name", {})
    for source, symbol in getattr(environment, "source_to_var", {}).items():
        # The source of a Dim that no input has as a whole size is its bare name.
        name = debug_names.get(source, source)
        if name.isidentifier():
            names.setdefault(symbol, name)
    return names


def _fresh_name(wanted: str | None, used: set[str]) -> str:
    wanted = wanted and _identifier(wanted)
    if not wanted or not wanted.isidentifier() or wanted in ("min", "max"):
        candidates = (f"s{number}" for number in count())
    else:
        candidates = (f"{wanted}_{number}" if number else wanted for number in count())
    name = next(candidate for candidate in candidates if candidate not in used)
    used.add(name)
    return name


def _identifier(text: str) -> str:
    name = "".join(letter if letter.isalnum() else "_" for letter in text)
    return "_".join(part for part in name.split("_") if part)


def _spec(
    name: str, argument: int, dim: int, bounds: Any, divisor: int = 1, remainder: int = 0, lowest: int = 0
) -> SymbolSpec:
    minimum, maximum = lowest, None
    if bounds is not None:
        minimum = max(int(bounds.lower), lowest) if bounds.lower.is_Integer else lowest
        maximum = int(bounds.upper) if bounds.upper.is_Integer else None
    return SymbolSpec(name, argument, dim, minimum, maximum, divisor, remainder)


def _example(size: Any, spec: SymbolSpec) -> int:
    hint = size.node.hint
    # A program read from a file may have lost the example: any size that its bounds allow serves.
    return int(hint) if hint is not None else max(spec.minimum, 2 * spec.divisor + spec.remainder)
