"""Index arithmetic known at compile time: what an index expression may be, and simpler forms that follow from it.

Indices are ``Expr``s over the sizes' symbols and over variables, whose names start with ``%`` and whose half-open
ranges are kept in a ``Ranges``.  Sizes are never negative, and no code runs for a variable with an empty range, so
facts proven here hold wherever they are used.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from stepwell.support.symbolic import Atom, Expr

LANE = "%lane"
"""The variable that counts the elements of a vector."""

ZERO = Expr.const(0)
ONE = Expr.const(1)


@dataclass
class Ranges:
    """Half-open ranges of variables; a variable without one may be any integer.

    Attributes:
        bounds: variable -> (lowest value, first value above).
    """

    bounds: dict[str, tuple[Expr, Expr]] = field(default_factory=dict)

    def limit(self, name: str, low: Expr, high: Expr) -> None:
        """Record that ``low <= name < high``."""
        self.bounds[name] = (low, high)

    def never_negative(self, expr: Expr) -> bool:
        """Prove ``expr >= 0``; False means unknown."""
        return self._lowest_is_nonnegative(expr, 12)

    def less(self, a: Expr, b: Expr) -> bool:
        """Prove ``a < b``; False means unknown."""
        return self.never_negative(b - a - 1)

    def within(self, expr: Expr, size: Expr) -> bool:
        """Prove ``0 <= expr < size``."""
        return self.never_negative(expr) and self.less(expr, size)

    def _lowest_is_nonnegative(self, expr: Expr, fuel: int) -> bool:
        """Replace one variable after another by the end of its range that makes ``expr`` smallest."""
        if expr.is_constant:
            return expr.constant >= 0
        if fuel == 0:
            return False
        shrunk = self._without_negative_quotients(expr)
        if shrunk != expr:
            return self._lowest_is_nonnegative(shrunk, fuel - 1)
        name = next((n for n in sorted(expr.symbols, reverse=True) if n in self.bounds), None)
        if name is not None:
            replaced = self._replace_by_bound(expr, name)
            if replaced is not None:
                return self._lowest_is_nonnegative(replaced, fuel - 1)
        return all(self._term_nonnegative(Expr((term,))) for term in expr.terms)

    def _without_negative_quotients(self, expr: Expr) -> Expr:
        """Replace ``-k*d*(x // d)`` by ``-k*x``, which is never larger."""
        for monomial, factor in expr.terms:
            if factor < 0 and len(monomial) == 1 and monomial[0].operator == "floordiv":
                dividend, divisor = monomial[0].operands
                if divisor.is_constant and divisor.constant > 0 and factor % divisor.constant == 0:
                    return expr - Expr(((monomial, factor),)) + dividend * (factor // divisor.constant)
        return expr

    def _replace_by_bound(self, expr: Expr, name: str) -> Expr | None:
        low, high = self.bounds[name]
        signs: set[bool] = set()
        for monomial, factor in expr.terms:
            for atom in monomial:
                if name not in Expr((((atom,), 1),)).symbols:
                    continue
                slope = self._slope(atom, name)
                others = [other for other in monomial if other is not atom]
                if slope is None or not all(self._term_nonnegative(Expr((((other,), 1),))) for other in others):
                    return None
                signs.add((factor > 0) == (slope > 0))
        if len(signs) != 1:
            return None
        return expr.substitute({name: low if signs.pop() else high - 1})

    def _slope(self, atom: Atom, name: str) -> int | None:
        """Return a number of the sign with which ``atom`` grows with ``name``; None where that is not known."""
        if atom.operator == "symbol":
            return 1
        if atom.operator != "floordiv" or not atom.operands[1].is_constant or atom.operands[1].constant < 0:
            return None
        inside = coefficient(atom.operands[0], name)
        return inside.constant if inside is not None and inside.is_constant else None

    def _term_nonnegative(self, term: Expr) -> bool:
        ((monomial, factor),) = term.terms
        if factor < 0:
            return False
        for atom in monomial:
            match atom.operator:
                case "symbol":
                    if atom.name.startswith("%") and not self._variable_nonnegative(atom.name):
                        return False
                case "mod":
                    continue
                case "floordiv" | "max" | "min":
                    if not all(self.never_negative(operand) for operand in atom.operands):
                        return False
        return True

    def _variable_nonnegative(self, name: str) -> bool:
        bounds = self.bounds.get(name)
        return bounds is not None and bounds[0].is_constant and bounds[0].constant >= 0

    def cover(self, indices: Sequence[Expr], shape: Sequence[Expr]) -> bool:
        """Tell whether loops over the variables of ``indices`` meet every element of a tensor of ``shape``."""
        names = [str(index) for index, size in zip(indices, shape, strict=True) if size != ONE]
        wanted = [(ZERO, size) for size in shape if size != ONE]
        return len(set(names)) == len(names) and [self.bounds.get(name) for name in names] == wanted

    def divide(self, a: Expr, b: Expr) -> tuple[Expr, Expr]:
        """Return quotient and remainder of ``a`` by the positive ``b``, rounded down, as simple as can be proven."""
        # Code that counts the places of a dimension without any is written, and never runs.
        if b in (ONE, ZERO):
            return a, ZERO
        whole, rest = ZERO, ZERO
        for term in a.terms:
            part = Expr((term,))
            quotient = part // b
            if quotient * b == part:
                whole = whole + quotient
            else:
                rest = rest + part
        if self.within(rest, b):
            return whole, rest
        return whole + rest // b, rest % b


def split_varying(expr: Expr, varying: frozenset[str] | set[str]) -> tuple[Expr, Expr]:
    """Return ``expr`` as a sum of a part without and a part with symbols of ``varying``."""
    if expr.symbols.isdisjoint(varying):
        return expr, ZERO
    uniform = [(m, f) for m, f in expr.terms if Expr(((m, 1),)).symbols.isdisjoint(varying)]
    rest = [(m, f) for m, f in expr.terms if not Expr(((m, 1),)).symbols.isdisjoint(varying)]
    return Expr(tuple(uniform)), Expr(tuple(rest))


def coefficient(expr: Expr, name: str) -> Expr | None:
    """Return ``c`` where ``expr == c*name + (terms without name)``; None where it is not of that form."""
    total = ZERO
    for monomial, factor in expr.terms:
        here = [atom for atom in monomial if atom.operator == "symbol" and atom.name == name]
        others = tuple(atom for atom in monomial if atom not in here)
        if any(name in Expr((((atom,), 1),)).symbols for atom in others) or len(here) > 1:
            return None
        if here:
            total = total + Expr(((others, factor),))
    return total


def ceil_div(a: Expr, b: int | Expr) -> Expr:
    """Return ``a / b`` rounded up, for a positive ``b``."""
    whole = a // b
    # Sums stay natural numbers, whose division is cheaper than that of -a.
    return whole if whole * b == a else (a + b - 1) // b


def product(sizes: tuple[Expr, ...] | list[Expr]) -> Expr:
    """Return the product of sizes; 1 for none."""
    total = ONE
    for size in sizes:
        total = total * size
    return total


def row_major_strides(shape: tuple[Expr, ...]) -> tuple[Expr, ...]:
    """Return the strides, in elements, of a contiguous buffer of ``shape``."""
    strides = [ONE] * len(shape)
    for dim in range(len(shape) - 2, -1, -1):
        strides[dim] = strides[dim + 1] * shape[dim + 1]
    return tuple(strides)


def linearise(indices: tuple[Expr, ...], shape: tuple[Expr, ...]) -> Expr:
    """Return the row-major position of ``indices`` in ``shape``."""
    position = ZERO
    for index, size in zip(indices, shape, strict=True):
        position = position * size + index
    return position
