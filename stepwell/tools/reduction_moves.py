"""What can be taken away from a module, one move each: functions, ops, results, arguments, constants, attributes."""

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from typing import Any

from stepwell.support.bindings import ir

__all__ = ["MOVES", "Move"]


@dataclass(frozen=True)
class Move:
    """A kind of simplification.

    Attributes:
        name: what it takes away.
        places: yields where, in a fixed order; what it yields is given to ``take``.
        take: simplifies one place, and returns whether it could.
    """

    name: str
    places: Callable[[Any], Iterator[Any]]
    take: Callable[[Any], bool]

    def count(self, module: Any) -> int:
        """Return the number of places in ``module``."""
        return sum(1 for _ in self.places(module))

    def apply(self, module: Any, chosen: Collection[int]) -> bool:
        """Simplify the chosen places; return whether anything changed."""
        places = [place for index, place in enumerate(self.places(module)) if index in chosen]
        changed = False
        # From the end, so that users go before what they use, and indices stay right.
        for place in reversed(places):
            changed |= self.take(place)
        return changed


def _inside(op: Any) -> Iterator[Any]:
    for region in op.regions:
        for block in region.blocks:
            for child in block.operations:
                yield child.operation


def _below(op: Any) -> Iterator[Any]:
    for child in _inside(op):
        yield child
        yield from _below(child)


def _symbols(module: Any) -> Iterator[Any]:
    return (op for op in _below(module) if "sym_name" in op.attributes and op.parent.name == "builtin.module")


def _erase(op: Any) -> bool:
    op.erase()
    return True


def _functions(module: Any) -> Iterator[Any]:
    return (op for op in _below(module) if op.name == "func.func" and len(op.regions[0].blocks))


def _body_ops(module: Any) -> Iterator[Any]:
    """Yield ops inside functions that are no terminators."""
    for function in _functions(module):
        for op in _below(function):
            block = op.block
            if list(block.operations)[-1].operation != op:
                yield op


def _take_op(op: Any) -> bool:
    """Erase an op; what used its results uses an operand, an argument or a new argument of the same type."""
    function = _function_around(op)
    entry = function.regions[0].blocks[0]
    for result in op.results:
        if any(True for _ in result.uses):
            same = [value for value in (*op.operands, *entry.arguments) if value.type == result.type]
            result.replace_all_uses_with(same[0] if same else _new_argument(function, result.type))
    op.erase()
    return True


def _function_around(op: Any) -> Any:
    while op.name != "func.func":
        op = op.parent.operation
    return op


def _type_of(function: Any) -> Any:
    return ir.FunctionType(ir.TypeAttr(function.attributes["function_type"]).value)


def _set_type(function: Any, inputs: list[Any], results: list[Any]) -> None:
    function.attributes["function_type"] = ir.TypeAttr.get(ir.FunctionType.get(inputs, results))


def _new_argument(function: Any, kind: Any) -> Any:
    old = _type_of(function)
    argument = function.regions[0].blocks[0].add_argument(kind, function.location)
    _set_type(function, [*old.inputs, kind], list(old.results))
    if "arg_attrs" in function.attributes:
        listed = list(ir.ArrayAttr(function.attributes["arg_attrs"]))
        function.attributes["arg_attrs"] = ir.ArrayAttr.get([*listed, ir.DictAttr.get({})])
    return argument


def _results(module: Any) -> Iterator[tuple[Any, int]]:
    for function in _functions(module):
        for index in range(len(_type_of(function).results)):
            yield function, index


def _take_result(place: tuple[Any, int]) -> bool:
    function, index = place
    for op in list(_below(function)):
        if op.name == "func.return":
            kept = [value for i, value in enumerate(op.operands) if i != index]
            with ir.InsertionPoint(op), op.location:
                ir.Operation.create("func.return", operands=kept)
            op.erase()
    old = _type_of(function)
    _set_type(function, list(old.inputs), _without(list(old.results), index))
    for name in ("res_attrs", "stepwell.result_sizes"):
        _drop_item(function, name, index)
    return True


def _unused_arguments(module: Any) -> Iterator[tuple[Any, int]]:
    for function in _functions(module):
        for index, argument in enumerate(function.regions[0].blocks[0].arguments):
            if not any(True for _ in argument.uses):
                yield function, index


def _take_argument(place: tuple[Any, int]) -> bool:
    function, index = place
    old = _type_of(function)
    function.regions[0].blocks[0].erase_argument(index)
    _set_type(function, _without(list(old.inputs), index), list(old.results))
    _drop_item(function, "arg_attrs", index)
    return True


def _without(items: list[Any], index: int) -> list[Any]:
    return items[:index] + items[index + 1 :]


def _drop_item(op: Any, name: str, index: int) -> None:
    if name in op.attributes:
        listed = list(ir.ArrayAttr(op.attributes[name]))
        if index < len(listed):
            op.attributes[name] = ir.ArrayAttr.get(_without(listed, index))


def _constants(module: Any) -> Iterator[Any]:
    for op in _below(module):
        if op.name.endswith(".constant") and "value" in op.attributes:
            zero = _zero(op.attributes["value"])
            if zero is not None and zero != op.attributes["value"]:
                yield op


def _take_value(op: Any) -> bool:
    op.attributes["value"] = _zero(op.attributes["value"])
    return True


def _zero(value: Any) -> Any | None:
    """Return zero of the attribute's type, or None where that is unknown."""
    kind = value.type
    element = kind.element_type if isinstance(kind, ir.ShapedType) else kind
    if isinstance(element, ir.IntegerType | ir.IndexType):
        zero = ir.IntegerAttr.get(element, 0)
    elif isinstance(element, ir.FloatType):
        zero = ir.FloatAttr.get(element, 0.0)
    else:
        return None
    return ir.DenseElementsAttr.get_splat(kind, zero) if isinstance(kind, ir.ShapedType) else zero


def _extra_attributes(module: Any) -> Iterator[tuple[Any, str]]:
    for op in (module, *_below(module)):
        for name in sorted(op.attributes.keys() if hasattr(op.attributes, "keys") else op.attributes):
            if "." in name or name in ("arg_attrs", "res_attrs"):
                yield op, name


def _take_attribute(place: tuple[Any, str]) -> bool:
    op, name = place
    del op.attributes[name]
    return True


MOVES = (
    Move("functions", _symbols, _erase),
    Move("ops", _body_ops, _take_op),
    Move("results", _results, _take_result),
    Move("arguments", _unused_arguments, _take_argument),
    Move("attributes", _extra_attributes, _take_attribute),
    Move("constants", _constants, _take_value),
)
"""All moves, in the order they are tried: what removes most comes first."""
