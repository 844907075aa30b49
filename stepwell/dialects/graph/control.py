"""Ops whose work other functions of the module do, as often as data says: branches and loops.

A body is a function of its own, named by symbol, so that every pass treats it as it does ``@main``.  Its first
arguments are tensors, one per operand that the op hands over; behind them stand the symbolic sizes that it uses, as
index arguments that carry ``stepwell.symbol``: no operands, for a size means the same in all functions of a program.
"""

from collections.abc import Container, Iterator, Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np

from stepwell.dialects.definition import Operand, OperationBase, Pure, Result, operand, result
from stepwell.dialects.graph.base import GraphOperation, Tensor, sizes_of
from stepwell.dialects.graph.sizes import SYMBOL, integer_of, number_of, provably_differ
from stepwell.dialects.graph.types import ONE, TensorMeta, meta_of, tensor_type
from stepwell.support.bindings import func, ir
from stepwell.support.dtypes import DType
from stepwell.support.symbolic import Expr

# A body that holds a whole model takes its parameters as operands.
MAX_INPUTS = 256
MAX_OUTPUTS = 64


class ControlOperation(GraphOperation):
    """Base of ops that name functions."""

    @classmethod
    def create(cls, *args: Any, loc: Any = None, ip: Any = None, **kwargs: Any) -> Any:
        """Build the op with the result types that its functions have; operands and attributes by position or name."""
        names = [field.name for field in cls.fields if field.kind in ("operand", "attribute")]
        values: dict[str, Any] = dict.fromkeys(names) | dict(zip(names, args, strict=False)) | kwargs
        types = [tensor_type(meta) for meta in cls.infer(SimpleNamespace(**values))]
        return cls(**values, outputs=types, loc=loc, ip=ip)


class CondOp(ControlOperation, name="cond", traits=[Pure]):
    """The results of ``then`` where ``predicate`` holds, else those of ``otherwise``; only one of them runs.

    Both take ``inputs``.  The predicate has one element.  Where results of the branches differ in sizes, ``shapes``
    tells those of each result, in symbols that are what the branch says whenever it runs.
    """

    predicate: Operand[Tensor]
    inputs: Sequence[Operand[Tensor]] = operand(mixed=True, limit=MAX_INPUTS)
    then: ir.FlatSymbolRefAttr
    otherwise: ir.FlatSymbolRefAttr
    shapes: ir.ArrayAttr | None
    outputs: Sequence[Result[Tensor]] = result(mixed=True, limit=MAX_OUTPUTS)

    @classmethod
    def infer(cls, op: Any) -> tuple[TensorMeta, ...]:
        """What ``then`` returns; ``otherwise`` must return the same."""
        _check_predicate(meta_of(op.predicate))
        given = [meta_of(value) for value in op.inputs or ()]
        first, second = (_results_of(op, symbol, given) for symbol in (op.then, op.otherwise))
        if op.shapes is None:
            _check_same("results of both branches", first, second)
            return first
        results = tuple(meta.with_shape(sizes_of(shape)) for meta, shape in zip(first, op.shapes, strict=True))
        for returned in (first, second):
            _check_same("results of a branch", results, returned)
        return results

    @classmethod
    def evaluate(cls, op: Any, *arrays: Any) -> Any:
        predicate, *inputs = arrays
        return tuple(evaluate_function(callee(op, op.then if predicate.item() else op.otherwise), inputs))


class WhileLoopOp(ControlOperation, name="while_loop", traits=[Pure]):
    """Values that ``body`` replaces as long as ``condition`` holds of them.

    Both functions take all ``inputs``; ``body`` returns new values for the first ``carried`` of them, in their types.
    """

    inputs: Sequence[Operand[Tensor]] = operand(mixed=True, limit=MAX_INPUTS)
    condition: ir.FlatSymbolRefAttr
    body: ir.FlatSymbolRefAttr
    carried: ir.IntegerAttr
    outputs: Sequence[Result[Tensor]] = result(mixed=True, limit=MAX_OUTPUTS)

    @classmethod
    def infer(cls, op: Any) -> tuple[TensorMeta, ...]:
        """The types of the carried values."""
        given = [meta_of(value) for value in op.inputs]
        tests = _results_of(op, op.condition, given)
        if len(tests) != 1:
            raise ValueError(f"function {op.condition} must return one value, returns {len(tests)}")
        _check_predicate(tests[0])
        carried = tuple(given[: integer_of(op.carried)])
        _check_same("values that a loop carries", carried, _results_of(op, op.body, given))
        return carried

    @classmethod
    def evaluate(cls, op: Any, *arrays: Any) -> Any:
        carried = integer_of(op.carried)
        values, rest = list(arrays[:carried]), list(arrays[carried:])
        condition, body = callee(op, op.condition), callee(op, op.body)
        while evaluate_function(condition, [*values, *rest])[0].item():
            values = evaluate_function(body, [*values, *rest])
        return tuple(values)


class ScanOp(ControlOperation, name="scan", traits=[Pure]):
    """``body`` for each slice of the ``scanned`` inputs along their first dimension, in order.

    The inputs are ``carried`` values, ``scanned`` tensors with equal first dimensions, and what is the same for all
    slices; ``body`` takes the carried values, a slice of each scanned tensor, and the rest.  It returns new carried
    values, in their types, and slices of the further results, which are stacked along a new first dimension.
    """

    inputs: Sequence[Operand[Tensor]] = operand(mixed=True, limit=MAX_INPUTS)
    body: ir.FlatSymbolRefAttr
    carried: ir.IntegerAttr
    scanned: ir.IntegerAttr
    outputs: Sequence[Result[Tensor]] = result(mixed=True, limit=MAX_OUTPUTS)

    @classmethod
    def infer(cls, op: Any) -> tuple[TensorMeta, ...]:
        """The types of the carried values, then those of the slices with the number of slices in front."""
        given = [meta_of(value) for value in op.inputs]
        carried, scanned = integer_of(op.carried), integer_of(op.scanned)
        sliced = given[carried : carried + scanned]
        if not sliced or any(meta.rank == 0 for meta in sliced):
            raise ValueError("a scan needs tensors with a first dimension to go along")
        if any(provably_differ(meta.shape[0], sliced[0].shape[0]) for meta in sliced):
            raise ValueError(f"scanned tensors differ in their first dimensions: {', '.join(map(str, sliced))}")
        slices = [meta.with_shape(meta.shape[1:]) for meta in sliced]
        results = _results_of(op, op.body, [*given[:carried], *slices, *given[carried + scanned :]])
        _check_same("values that a scan carries", tuple(given[:carried]), results[:carried])
        steps = sliced[0].shape[0]
        stacked = [meta.with_shape((steps, *meta.shape)) for meta in results[carried:]]
        return (*given[:carried], *stacked)

    @classmethod
    def evaluate(cls, op: Any, *arrays: Any) -> Any:
        carried, scanned = integer_of(op.carried), integer_of(op.scanned)
        values, sliced, rest = list(arrays[:carried]), arrays[carried : carried + scanned], arrays[carried + scanned :]
        body = callee(op, op.body)
        rows = []
        for number in range(len(sliced[0])):
            found = evaluate_function(body, [*values, *(array[number] for array in sliced), *rest])
            values = found[:carried]
            rows.append(found[carried:])
        stacks = [
            np.stack([row[number] for row in rows])
            if rows
            else np.empty([number_of(size) for size in meta.shape], meta.dtype.numpy)
            for number, meta in enumerate(map(meta_of, op.outputs[carried:]))
        ]
        return (*values, *stacks)


def callee(op: Any, symbol: Any) -> Any:
    """Return the function that ``op`` calls ``symbol``; raises ValueError where the module has none.

    ``op`` may be one that is not built yet: then it is looked for around the current insertion point.
    """
    place = op.operation if isinstance(op, OperationBase) else ir.InsertionPoint.current.block.owner.operation
    while place.parent is not None:
        place = place.parent.operation
    return function_named(place.regions[0].blocks[0], symbol)


def function_named(block: Any, symbol: Any) -> Any:
    """Return the function called ``symbol`` of a module's block; raises ValueError where there is none."""
    name = ir.FlatSymbolRefAttr(symbol).value
    for child in block.operations:
        if isinstance(child, func.FuncOp) and child.name.value == name:
            return child.operation
    raise ValueError(f"there is no function @{name}")


def callees(op: Any) -> Iterator[Any]:
    """Yield the functions that an op names."""
    for field in type(op).of_kind("attribute"):
        if field.constraint is ir.FlatSymbolRefAttr and (symbol := getattr(op, field.name)) is not None:
            yield callee(op, symbol)


def tensor_arguments(function: Any) -> list[Any]:
    """Return the arguments of a function that operands are handed to."""
    return [value for value in function.regions[0].blocks[0].arguments if not isinstance(value.type, ir.IndexType)]


def given_symbols(function: Any) -> list[str]:
    """Return the sizes that a function takes as index arguments, in order."""
    attributes = function.attributes["arg_attrs"] if "arg_attrs" in function.attributes else []
    return [entry[SYMBOL].value for entry in attributes if SYMBOL in entry]


def symbols_used(function: Any, known: Container[str], *, bound: bool = True) -> set[str]:
    """Return which of the ``known`` sizes occur in a function, or are taken by the functions that it calls.

    Args:
        function: of graph ops.
        known: names of sizes; an attribute may hold other texts.
        bound: leave out those that the function binds itself.
    """
    block = function.regions[0].blocks[0]
    texts = [text for value in tensor_arguments(function) for text in _type_texts(value.type)]
    found: set[str] = set()
    own: set[str] = set()
    for op in block.operations:
        texts += [text for value in op.operation.results for text in _type_texts(value.type)]
        attributes = op.operation.attributes
        texts += [text for name in attributes if name != "label" for text in _texts(attributes[name])]
        if isinstance(op, ControlOperation):
            found.update(*(given_symbols(called) for called in callees(op)))
        elif op.operation.name == "graph.bind_size":
            own.add(op.label.value)
    for text in texts:
        try:
            found |= {name for name in Expr.parse(text).symbols if name in known}
        except ValueError:
            continue  # a mode or a name
    return found - own if bound else found


def _type_texts(kind: Any) -> list[str]:
    return _texts(kind.encoding) if isinstance(kind, ir.RankedTensorType) and kind.encoding is not None else []


def _texts(attribute: Any) -> list[str]:
    if isinstance(attribute, ir.StringAttr):
        return [attribute.value]
    if isinstance(attribute, ir.ArrayAttr):
        return [text for item in attribute for text in _texts(item)]
    if isinstance(attribute, ir.DictAttr):
        return [text for named in attribute for text in _texts(named.attr)]
    return []


def evaluate_function(function: Any, arrays: Sequence[Any]) -> list[Any]:
    """Return the results of a function of graph ops with static sizes on numpy arrays, by the ops' own semantics."""
    values: dict[Any, Any] = dict(zip(tensor_arguments(function), arrays, strict=True))
    for op in function.regions[0].blocks[0].operations:
        taken = [values[value] for value in op.operands]
        if isinstance(op, func.ReturnOp):
            return taken
        assert isinstance(op, GraphOperation), op
        found = type(op).evaluate(op, *taken)
        found = found if isinstance(found, tuple | list) else [found]
        for value, array in zip(op.operation.results, found, strict=True):
            values[value] = np.asarray(array)
    raise AssertionError("a function ends with its results")


def _results_of(op: Any, symbol: Any, given: Sequence[TensorMeta]) -> tuple[TensorMeta, ...]:
    """Return the types that a function returns; raises ValueError where it does not take ``given``."""
    function = callee(op, symbol)
    _check_same(f"arguments of {symbol}", tuple(map(meta_of, tensor_arguments(function))), tuple(given))
    kind = ir.FunctionType(ir.TypeAttr(function.attributes["function_type"]).value)
    return tuple(map(meta_of, kind.results))


def _check_same(what: str, wanted: Sequence[TensorMeta], given: Sequence[TensorMeta]) -> None:
    if len(wanted) != len(given):
        raise ValueError(f"{what}: {len(wanted)} and {len(given)} do not match")
    for number, (a, b) in enumerate(zip(wanted, given, strict=True)):
        fits = a.dtype is b.dtype and a.rank == b.rank
        if not fits or any(provably_differ(x, y) for x, y in zip(a.shape, b.shape, strict=True)):
            raise ValueError(f"{what}: {a} and {b} at position {number} do not match")


def _check_predicate(meta: TensorMeta) -> None:
    if meta.dtype is not DType.BOOL or any(size != ONE for size in meta.shape):
        raise ValueError(f"a predicate must be one bool, got {meta}")
