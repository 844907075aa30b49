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


@dataclass(frozen=True)
class _Solved:
    """A size that is only seen as ``factor * size + offset``: it is computed from that dimension, ``symbol``."""

    symbol: Expr
    factor: int
    offset: int


@dataclass
class SizeTable:
    """Names, bounds and example values of a program's symbolic sizes.

    Attributes:
        symbols: what each call binds, in order.
        examples: the value that each symbol had at export, where it is known.
    """

    symbols: tuple[SymbolSpec, ...] = ()
    examples: dict[str, int] = field(default_factory=dict)
    _names: dict[Any, str] = field(default_factory=dict)
    _solved: dict[str, _Solved] = field(default_factory=dict)

    def expr(self, size: Any) -> Expr:
        """Return a size of the program (int, SymInt) as an expression.

        Raises:
            ImportProgramError: the size depends on data, or has a form that no expression covers.
        """
        if isinstance(size, torch.SymInt):
            return self._solve(self._from_sympy(size.node.expr))
        return Expr.const(int(size))

    def sample_points(self) -> list[dict[str, int]]:
        """Return values for the symbols, the example first, at which two expressions can be compared.

        The others differ from the example by multiples of a highly composite number, so that whatever divisibility
        the program was exported under still holds.
        """
        points = [dict(self.examples)]
        for step in (5040, 12):
            for seed in range(3):
                point = {}
                for position, spec in enumerate(self.symbols):
                    value = self.examples[spec.name] + step * (1 + (seed + 1) * (position + 1) % 7)
                    in_range = spec.maximum is None or value <= spec.maximum
                    point[spec.name] = value if in_range else self.examples[spec.name]
                points.append(point)
        return points

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
        arguments: path and fake tensor per argument of main.
        ranges: the exported program's range constraints, by sympy expression.

    Raises:
        ImportProgramError: a size cannot be computed from the arguments' dimensions.
    """
    table = SizeTable()
    dims = [
        (position, dim, path, size)
        for position, (path, value) in enumerate(arguments)
        for dim, size in enumerate(value.shape)
        if isinstance(size, torch.SymInt)
    ]
    given = _user_names(dims)
    used: set[str] = set()
    specs: list[SymbolSpec] = []
    for position, dim, _, size in dims:
        expr = size.node.expr
        if expr.is_Symbol and expr not in table._names:
            name = table._names[expr] = _fresh_name(given.get(expr), used)
            specs.append(_spec(name, position, dim, ranges.get(expr)))
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
    return table


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
    if wanted is None or wanted in ("min", "max"):
        candidates = (f"s{number}" for number in count())
    else:
        candidates = (f"{wanted}_{number}" if number else wanted for number in count())
    name = next(candidate for candidate in candidates if candidate not in used)
    used.add(name)
    return name


def _identifier(text: str) -> str:
    name = "".join(letter if letter.isalnum() else "_" for letter in text)
    return "_".join(part for part in name.split("_") if part)


def _spec(name: str, argument: int, dim: int, bounds: Any, divisor: int = 1, remainder: int = 0) -> SymbolSpec:
    minimum, maximum = 0, None
    if bounds is not None:
        minimum = max(int(bounds.lower), 0)
        maximum = int(bounds.upper) if bounds.upper.is_Integer else None
    return SymbolSpec(name, argument, dim, minimum, maximum, divisor, remainder)


def _example(size: Any, spec: SymbolSpec) -> int:
    hint = size.node.hint
    # A program read from a file may have lost the example: any size that its bounds allow serves.
    return int(hint) if hint is not None else max(spec.minimum, 2 * spec.divisor + spec.remainder)
