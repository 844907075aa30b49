"""Numbers that a program reads from its own tensors: as sizes they are bound to symbols, as values they stay tensors.

torch writes what it knows of them into ranges, and what the program checks of them into calls of ``_assert_scalar``
over comparisons.  Comparisons of sizes become checks that the host makes when it has read the last size they need;
those of values, such as ``x.item() > 0.5``, are computed like all else, and the host reads the outcome.
"""

import operator
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import torch

from stepwell.dialects.graph import comparison
from stepwell.dialects.graph.base import GraphOperation
from stepwell.dialects.graph.binary import BitwiseAndOp, BitwiseOrOp
from stepwell.dialects.graph.data_dependent import BindSizeOp, SizeCheck
from stepwell.dialects.graph.sizes import size_attribute, size_of
from stepwell.dialects.graph.types import meta_of
from stepwell.dialects.graph.unary import BitwiseNotOp
from stepwell.frontends.torch.sizes import SizeTable
from stepwell.support.bindings import ir
from stepwell.support.dtypes import DType
from stepwell.support.errors import ImportProgramError
from stepwell.support.symbolic import Expr

_COMPARISONS: dict[Any, type[GraphOperation]] = {
    operator.eq: comparison.EqOp,
    operator.ne: comparison.NeOp,
    operator.gt: comparison.GtOp,
    operator.ge: comparison.GeOp,
    operator.lt: comparison.LtOp,
    operator.le: comparison.LeOp,
}
_LOGIC: dict[Any, type[GraphOperation]] = {
    operator.and_: BitwiseAndOp,
    operator.or_: BitwiseOrOp,
    operator.not_: BitwiseNotOp,
    torch.sym_not: BitwiseNotOp,
}
_IS_SIZE = "stepwell.is_size"
# Types of parameters, as schemas spell them, that take a number to compute with.
_SCALARS = frozenset(["number", "Optional[number]", "List[number]", "Tensor"])


def is_value(node: Any) -> bool:
    """Tell whether a number that a node reads from a tensor is used as a value alone, and never as a size."""
    if node.meta.get(_IS_SIZE, False):
        return False
    return all(user.op == "output" or _takes_scalar(user, node) for user in node.users)


def serve_as_size(node: Any) -> None:
    """Note that sizes are computed of a number that a node reads, by calls which have no node."""
    node.meta[_IS_SIZE] = True


def is_needed(node: Any) -> bool:
    """Tell whether a computation of sizes is used for anything but checks, which are read in torch's own form."""
    return any(_needs(user) for user in node.users)


def numbers_of(node: Any) -> list[Any]:
    """Return the nodes that turn a bool into 0 or 1."""
    return [user for user in node.users if user.target is torch.sym_ite]


def _needs(user: Any) -> bool:
    value = user.meta.get("val")
    if isinstance(user.target, torch._ops.OpOverload) and user.target._schema.name == "aten::_assert_scalar":
        return False
    return is_needed(user) if isinstance(value, torch.SymBool | bool) and user.op == "call_function" else True


def _takes_scalar(user: Any, node: Any) -> bool:
    """Tell whether a call takes ``node`` for a number to compute with."""
    if not isinstance(user.target, torch._ops.OpOverload):
        return False
    given = dict(zip((argument.name for argument in user.target._schema.arguments), user.args, strict=False))
    given |= user.kwargs
    kinds = {argument.name: str(argument.type) for argument in user.target._schema.arguments}
    return all(kinds[name] in _SCALARS for name, value in given.items() if _holds(value, node))


def _holds(argument: Any, node: Any) -> bool:
    """Tell whether an argument is a node, or a list with it."""
    return any(item is node for item in argument) if isinstance(argument, list | tuple) else argument is node


@dataclass
class DataSizes:
    """The sizes that one program reads, and what is checked of them.

    Attributes:
        sizes: the program's sizes.
    """

    sizes: SizeTable
    _ops: dict[str, Any] = field(default_factory=dict)

    def bind(self, count: Any, size: Any, maximum: Expr | None = None) -> Expr:
        """Let an unbacked SymInt be the number in a 0-d int64 tensor, at the insertion point.

        Args:
            count: the tensor.
            size: the SymInt; one that is known already, or a constant, needs no number.
            maximum: what the number cannot exceed; torch's own range holds beside it.

        Raises:
            ImportProgramError: the SymInt is a computation, in which no single number stands for its symbols.
        """
        bounds = self.sizes.bind(size)
        if bounds is None:
            return self.sizes.expr(size)
        highest = bounds.maximum if maximum is None else _least(maximum, bounds.maximum)
        return self._read(bounds.name, count, bounds.minimum, highest)

    def bind_new(self, count: Any, maximum: Expr) -> Expr:
        """Return a size that no SymInt stands for: the number in a 0-d int64 tensor."""
        return self._read(self.sizes.new_name("count"), count, 0, maximum)

    def _read(self, name: str, count: Any, minimum: int | None, maximum: Expr | int | None) -> Expr:
        self._ops[name] = BindSizeOp.create(
            count=count,
            label=ir.StringAttr.get(name),
            minimum=None if minimum is None else size_attribute(minimum),
            maximum=None if maximum is None else size_attribute(maximum),
        )
        return Expr.symbol(name)

    def check(self, condition: Any, place: str) -> bool:
        """Let the host check a condition of sizes, in torch's own form, where it depends on sizes that it reads.

        Args:
            condition: a comparison, or several joined by "and".
            place: what failures name beside it.

        Returns:
            False where the condition is about other things than sizes.
        """
        new = {symbol for symbol in condition.free_symbols if symbol.is_integer and self.sizes.are_new([symbol])}
        if new and all(map(self._is_flag, new)):
            # That a bool lies between 0 and 1 needs no check.
            return type(condition).__name__ in ("GreaterThan", "LessThan")
        if new:
            # Where a view begins in memory, and the like: tensors are values here.
            return True
        try:
            checks = list(self._checks(condition, f"{condition} ({place})"))
        except ImportProgramError:
            return False
        for check in checks:
            read = [name for name in self._ops if name in check.expr.symbols]
            if read and not self._holds_by_range(check):
                self._add(read[-1], check)
        return True

    def _is_flag(self, symbol: Any) -> bool:
        bounds = self.sizes.ranges.get(symbol)
        return symbol.is_integer and bounds is not None and (bounds.lower, bounds.upper) == (0, 1)

    def check_value(self, condition: Any, text: str) -> None:
        """Let the host check a 0-d int64 tensor, which must not be 0."""
        name = self.sizes.new_name("check")
        self._read(name, condition, None, None)
        self._add(name, SizeCheck(Expr.symbol(name), 1, None, text))

    def _add(self, name: str, check: SizeCheck) -> None:
        attributes = self._ops[name].operation.attributes
        known = list(attributes["checks"]) if "checks" in attributes else []
        if check.attribute() not in known:
            attributes["checks"] = ir.ArrayAttr.get([*known, check.attribute()])

    def _checks(self, condition: Any, text: str) -> Iterator[SizeCheck]:
        kind = type(condition).__name__
        if kind == "And":
            for part in condition.args:
                yield from self._checks(part, text)
        elif kind == "Or":
            yield SizeCheck(self._indicator(condition), 1, None, text)
        elif kind == "Equality":
            yield SizeCheck(self._difference(condition), 0, 0, text)
        elif condition not in (True, False):
            yield SizeCheck(self._excess(condition), 0, None, text)

    def _difference(self, relation: Any) -> Expr:
        left, right = relation.args
        return self.sizes.of_sympy(left) - self.sizes.of_sympy(right)

    def _excess(self, relation: Any) -> Expr:
        """Return what is negative exactly where an inequality does not hold."""
        match type(relation).__name__:
            case "GreaterThan":
                return self._difference(relation)
            case "StrictGreaterThan":
                return self._difference(relation) - 1
            case "LessThan":
                return -self._difference(relation)
            case "StrictLessThan":
                return -self._difference(relation) - 1
            case "Unequality":
                difference = self._difference(relation)
                return Expr.max(difference, -difference) - 1
        raise ImportProgramError(f"'{relation}' has no form that the host can check")

    def _indicator(self, condition: Any) -> Expr:
        """Return 1 where a condition holds, else 0."""
        match type(condition).__name__:
            case "And":
                return Expr.min(*map(self._indicator, condition.args))
            case "Or":
                return Expr.max(*map(self._indicator, condition.args))
            case "Equality":
                difference = self._difference(condition)
                return 1 - Expr.min(Expr.max(difference, -difference), 1)
        return Expr.min(Expr.max(self._excess(condition) + 1, 0), 1)

    def _holds_by_range(self, check: SizeCheck) -> bool:
        """Tell whether a check follows from the bounds of the one size it is about."""
        if len(check.expr.symbols) != 1 or check.minimum is None or check.maximum is not None:
            return False
        (name,) = check.expr.symbols
        read = self._ops.get(name)
        for sign, bound in () if read is None else ((1, read.minimum), (-1, read.maximum)):
            rest = check.expr - Expr.symbol(name) * sign
            if bound is not None and rest.is_constant and size_of(bound).is_constant:
                return size_of(bound).constant * sign + rest.constant >= check.minimum
        return False


def condition_of(importer: Any, node: Any) -> Any:
    """Return a comparison of numbers that are values as a 0-d bool tensor.

    Raises:
        ImportProgramError: it holds other operators than comparisons and logic.
    """
    if not isinstance(node, torch.fx.Node):
        return importer.operand(node, DType.BOOL)
    value = importer.values.get(node)
    if isinstance(value, ir.Value):
        return importer.convert(value, DType.BOOL)
    if node.target in _COMPARISONS:
        operands = [_number_of(importer, side) for side in node.args]
        whole = all(meta_of(operand).dtype is DType.INT64 for operand in operands)
        dtype = DType.INT64 if whole else DType.FLOAT64
        return importer.emit(_COMPARISONS[node.target], *(importer.convert(each, dtype) for each in operands))
    if node.target in _LOGIC:
        return importer.emit(_LOGIC[node.target], *(condition_of(importer, side) for side in node.args))
    raise ImportProgramError(f"node '{node.name}': a check by '{node.target}' of numbers is not supported")


def _number_of(importer: Any, side: Any) -> Any:
    value = side.meta.get("val") if isinstance(side, torch.fx.Node) else side
    if isinstance(value, torch.SymInt) and not isinstance(importer.values.get(side), ir.Value):
        return importer.operand(importer.sizes.expr(value), DType.INT64)
    number = importer.argument(side)
    return importer.operand(number, DType.INT64 if isinstance(number, int) else DType.FLOAT64)


def _least(maximum: Expr, other: int | None) -> Expr:
    return maximum if other is None else Expr.min(maximum, other)
