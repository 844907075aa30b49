"""Integer expressions over named sizes: ``2*s0 + 1``, ``s0 // 8``, ``max(s0, 1)``.

An expression is kept in canonical form, a sum of integer multiples of products of atoms, so that ``==`` decides
equality of polynomials.  An atom is a symbol or a floor division, a remainder, a minimum or a maximum of canonical
expressions.  Division and remainder round towards minus infinity, as Python's do.
"""

import ast
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any, Union

Operand = Union["Expr", int]
# A product of atoms, sorted; the empty product is 1.
Monomial = tuple["Atom", ...]


@dataclass(frozen=True, order=True)
class Atom:
    """A symbol (``operator`` "symbol", its ``name``) or an operator applied to expressions."""

    operator: str
    name: str = ""
    operands: tuple["Expr", ...] = ()

    def __str__(self) -> str:
        if self.operator == "symbol":
            return self.name
        if self.operator in ("min", "max"):
            return f"{self.operator}({', '.join(map(str, self.operands))})"
        sign = {"floordiv": "//", "mod": "%"}[self.operator]
        return f"({self.operands[0]._factor()} {sign} {self.operands[1]._factor()})"


@dataclass(frozen=True, order=True)
class Expr:
    """A canonical integer expression; build one with ``const``, ``symbol``, ``parse`` and Python's operators."""

    terms: tuple[tuple[Monomial, int], ...]

    @classmethod
    @lru_cache(4096)
    def const(cls, value: int) -> "Expr":
        """Return the constant ``value``."""
        return cls((((), int(value)),) if value else ())

    @classmethod
    def symbol(cls, name: str) -> "Expr":
        """Return the symbol ``name``."""
        return cls((((Atom("symbol", name),), 1),))

    @classmethod
    def of(cls, value: Operand) -> "Expr":
        """Return ``value`` as an expression."""
        return value if isinstance(value, Expr) else cls.const(value)

    @classmethod
    def _from_terms(cls, terms: Iterable[tuple[Monomial, int]]) -> "Expr":
        sums: dict[Monomial, int] = {}
        for monomial, factor in terms:
            sums[monomial] = sums.get(monomial, 0) + factor
        return cls(tuple(sorted((m, f) for m, f in sums.items() if f)))

    @classmethod
    def _atom(cls, operator: str, operands: tuple["Expr", ...]) -> "Expr":
        return cls((((Atom(operator, operands=operands),), 1),))

    @property
    def is_constant(self) -> bool:
        """True where no symbol occurs."""
        return all(not monomial for monomial, _ in self.terms)

    @property
    def constant(self) -> int:
        """The value of a constant expression; raises ValueError for others."""
        if not self.is_constant:
            raise ValueError(f"'{self}' is not a constant")
        return self.terms[0][1] if self.terms else 0

    @cached_property
    def symbols(self) -> frozenset[str]:
        """Names of all symbols that occur."""
        names: set[str] = set()
        for monomial, _ in self.terms:
            for atom in monomial:
                names.update({atom.name} if atom.operator == "symbol" else ())
                names.update(*(operand.symbols for operand in atom.operands))
        return frozenset(names)

    def __add__(self, other: Operand) -> "Expr":
        return Expr._from_terms((*self.terms, *Expr.of(other).terms))

    def __neg__(self) -> "Expr":
        return Expr(tuple((monomial, -factor) for monomial, factor in self.terms))

    def __sub__(self, other: Operand) -> "Expr":
        return self + -Expr.of(other)

    def __mul__(self, other: Operand) -> "Expr":
        return Expr._from_terms((tuple(sorted(a + b)), f * g) for a, f in self.terms for b, g in Expr.of(other).terms)

    def __floordiv__(self, other: Operand) -> "Expr":
        divisor = Expr.of(other)
        if divisor.is_constant:
            return self._divide_by_constant(divisor.constant)
        if self == divisor:
            return Expr.const(1)
        match divisor.terms:
            # x // (x // c) is c for the multiples of c (sizes are not zero where they divide).
            case (((Atom(operator="floordiv", operands=(dividend, step)),), 1),) if dividend == self:
                if step.is_constant and self % step == Expr.const(0):
                    return step
        quotient = self._exact_quotient(divisor)
        return quotient if quotient is not None else Expr._atom("floordiv", (self, divisor))

    def _divide_by_constant(self, divisor: int) -> "Expr":
        if divisor == 0:
            raise ZeroDivisionError(f"({self}) // 0")
        if self.is_constant:
            return Expr.const(self.constant // divisor)
        if divisor == 1:
            return self
        # (d*q + r) // d == q + r // d holds for every integer q, so whole multiples may leave the division.
        whole = Expr._from_terms((m, f // divisor) for m, f in self.terms if f % divisor == 0)
        rest = Expr(tuple((m, f) for m, f in self.terms if f % divisor))
        if rest.is_constant:
            return whole + rest.constant // divisor
        return whole + Expr._atom("floordiv", (rest, Expr.const(divisor)))

    def _exact_quotient(self, divisor: "Expr") -> "Expr | None":
        """Divide by a single monomial where every term is a multiple of it (sizes are not zero where they divide)."""
        if len(divisor.terms) != 1:
            return None
        atoms, factor = divisor.terms[0]
        terms: list[tuple[Monomial, int]] = []
        for monomial, coefficient in self.terms:
            rest = list(monomial)
            for atom in atoms:
                if atom not in rest:
                    return None
                rest.remove(atom)
            if coefficient % factor:
                return None
            terms.append((tuple(rest), coefficient // factor))
        return Expr._from_terms(terms)

    def __mod__(self, other: Operand) -> "Expr":
        divisor = Expr.of(other)
        if divisor.is_constant:
            value = divisor.constant
            if value == 0:
                raise ZeroDivisionError(f"({self}) % 0")
            rest = Expr._from_terms((m, f % value) for m, f in self._congruent(value).terms)
            return Expr.const(rest.constant % value) if rest.is_constant else Expr._atom("mod", (rest, divisor))
        if self._exact_quotient(divisor) is not None:
            return Expr.const(0)
        return Expr._atom("mod", (self, divisor))

    def _congruent(self, value: int) -> "Expr":
        """Return an expression with the same remainder by ``value``, without remainders by multiples of it inside."""
        total = Expr.const(0)
        for monomial, factor in self.terms:
            product = Expr.const(factor)
            for atom in monomial:
                divisor = atom.operands[1] if atom.operator == "mod" else None
                inside = divisor is not None and divisor.is_constant and divisor.constant % value == 0
                product *= atom.operands[0] if inside else Expr((((atom,), 1),))
            total += product
        return total

    __radd__ = __add__
    __rmul__ = __mul__

    def __rsub__(self, other: Operand) -> "Expr":
        return Expr.of(other) - self

    def __rfloordiv__(self, other: Operand) -> "Expr":
        return Expr.of(other) // self

    def __rmod__(self, other: Operand) -> "Expr":
        return Expr.of(other) % self

    @staticmethod
    def min(*operands: Operand) -> "Expr":
        """Return the smallest of the operands."""
        return Expr._extremum("min", operands)

    @staticmethod
    def max(*operands: Operand) -> "Expr":
        """Return the largest of the operands."""
        return Expr._extremum("max", operands)

    @staticmethod
    def _extremum(operator: str, operands: tuple[Operand, ...]) -> "Expr":
        choose = min if operator == "min" else max
        flat: set[Expr] = set()
        constants: list[int] = []
        for operand in map(Expr.of, operands):
            match operand.terms:
                case (((Atom(operator=found) as atom,), 1),) if found == operator:
                    parts = atom.operands
                case _:
                    parts = (operand,)
            for part in parts:
                if part.is_constant:
                    constants.append(part.constant)
                else:
                    flat.add(part)
        if constants:
            flat.add(Expr.const(choose(constants)))
        if len(flat) == 1:
            return flat.pop()
        return Expr._atom(operator, tuple(sorted(flat)))

    def evaluate(self, values: Mapping[str, int]) -> int:
        """Return the value with the symbols bound by ``values``; raises KeyError for an unbound symbol."""
        total = 0
        for monomial, factor in self.terms:
            product = factor
            for atom in monomial:
                product *= _evaluate_atom(atom, values)
            total += product
        return total

    def substitute(self, values: Mapping[str, "Expr"]) -> "Expr":
        """Return the expression with symbols replaced; those not in ``values`` stay."""
        total = Expr.const(0)
        for monomial, factor in self.terms:
            product = Expr.const(factor)
            for atom in monomial:
                product = product * _substitute_atom(atom, values)
            total = total + product
        return total

    def _factor(self) -> str:
        text = str(self)
        return text if len(self.terms) <= 1 and "*" not in text and not text.startswith("-") else f"({text})"

    def __str__(self) -> str:
        if not self.terms:
            return "0"
        text = ""
        # Constants print last: 2*s0 + 1.
        for monomial, factor in sorted(self.terms, key=lambda term: (not term[0], term)):
            parts = [str(abs(factor))] if abs(factor) != 1 or not monomial else []
            body = "*".join([*parts, *map(str, monomial)])
            if text:
                text += f" - {body}" if factor < 0 else f" + {body}"
            else:
                text = f"-{body}" if factor < 0 else body
        return text

    @classmethod
    def parse(cls, text: str) -> "Expr":
        """Parse what ``str`` prints; raises ValueError with the text on anything else."""
        try:
            return _from_ast(ast.parse(text.strip(), mode="eval").body)
        except (SyntaxError, ValueError, ZeroDivisionError) as error:
            raise ValueError(f"'{text}' is not a size expression: {error}") from error

    def to_json(self) -> int | str:
        """Return an int for a constant, else the text; ``from_json`` reads both."""
        return self.constant if self.is_constant else str(self)

    @classmethod
    def from_json(cls, value: Any) -> "Expr":
        """Read what ``to_json`` wrote; raises ValueError."""
        if isinstance(value, bool) or not isinstance(value, int | str):
            raise ValueError(f"a size is an integer or a text, not {value!r}")
        return cls.const(value) if isinstance(value, int) else cls.parse(value)


def _evaluate_atom(atom: Atom, values: Mapping[str, int]) -> int:
    if atom.operator == "symbol":
        return values[atom.name]
    operands = [operand.evaluate(values) for operand in atom.operands]
    match atom.operator:
        case "floordiv":
            return operands[0] // operands[1]
        case "mod":
            return operands[0] % operands[1]
        case "min":
            return min(operands)
        case _:
            return max(operands)


def _substitute_atom(atom: Atom, values: Mapping[str, Expr]) -> Expr:
    if atom.operator == "symbol":
        return values.get(atom.name, Expr.symbol(atom.name))
    operands = [operand.substitute(values) for operand in atom.operands]
    match atom.operator:
        case "floordiv":
            return operands[0] // operands[1]
        case "mod":
            return operands[0] % operands[1]
        case "min":
            return Expr.min(*operands)
        case _:
            return Expr.max(*operands)


def _from_ast(node: ast.expr) -> Expr:
    match node:
        case ast.Constant(value=int() as value) if not isinstance(value, bool):
            return Expr.const(value)
        case ast.Name(id=name):
            return Expr.symbol(name)
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return -_from_ast(operand)
        case ast.BinOp(left=left, op=operator, right=right):
            a, b = _from_ast(left), _from_ast(right)
            match operator:
                case ast.Add():
                    return a + b
                case ast.Sub():
                    return a - b
                case ast.Mult():
                    return a * b
                case ast.FloorDiv():
                    return a // b
                case ast.Mod():
                    return a % b
        case ast.Call(func=ast.Name(id=("min" | "max") as name), args=args, keywords=[]) if args:
            operands = [_from_ast(arg) for arg in args]
            return Expr.min(*operands) if name == "min" else Expr.max(*operands)
    raise ValueError(f"unexpected {ast.unparse(node)!r}")
