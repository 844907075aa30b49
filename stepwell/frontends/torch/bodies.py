"""Bodies of branches and loops: graph modules inside the program's, as functions beside ``@main``."""

from collections.abc import Container, Iterator, Mapping, Sequence
from itertools import zip_longest
from typing import Any

import torch

from stepwell.dialects.graph import binary, comparison
from stepwell.dialects.graph.base import sizes_attribute
from stepwell.dialects.graph.control import MAX_INPUTS, function_named, symbols_used
from stepwell.dialects.graph.creation import SizeOp
from stepwell.dialects.graph.shape import ReshapeOp
from stepwell.dialects.graph.sizes import SYMBOL
from stepwell.dialects.graph.types import TensorMeta, meta_of, tensor_type
from stepwell.dialects.graph.unary import BitwiseNotOp
from stepwell.frontends.torch.generator import STATE, Generator, NoGenerator
from stepwell.frontends.torch.importer import Importer, Value
from stepwell.support.bindings import func, ir
from stepwell.support.dtypes import DType
from stepwell.support.errors import ImportProgramError
from stepwell.support.symbolic import Expr

_COMPARISONS: dict[str, Any] = {
    "Equality": comparison.EqOp,
    "Unequality": comparison.NeOp,
    "StrictLessThan": comparison.LtOp,
    "LessThan": comparison.LeOp,
    "StrictGreaterThan": comparison.GtOp,
    "GreaterThan": comparison.GeOp,
}
_CONNECTIVES: dict[str, Any] = {"And": binary.BitwiseAndOp, "Or": binary.BitwiseOrOp}


def import_body(
    importer: Importer,
    module: Any,
    name: str,
    arguments: Sequence[TensorMeta | Expr | int | float | None],
    state_result: int | None = None,
) -> Any:
    """Import a graph module as function ``name`` of the program.

    Args:
        importer: of the program; the insertion point is where it is called from.
        module: the graph module.
        name: of the function.
        arguments: per placeholder the tensor that it gets, or a size or number which is the same at every call; STATE
            has no placeholder.
        state_result: where among the results the generator's state comes; None where the body must not draw.

    Returns:
        The function's symbol.
    """
    if sum(isinstance(argument, TensorMeta) for argument in arguments) > MAX_INPUTS:
        raise ImportProgramError(f"a body of control flow reads more than {MAX_INPUTS} tensors")
    placeholders = (node for node in module.graph.nodes if node.op == "placeholder")
    entries = [(None if argument is STATE else next(placeholders), argument) for argument in arguments]
    tensors = [(node, argument) for node, argument in entries if isinstance(argument, TensorMeta)]
    types = [tensor_type(meta) for _, meta in tensors]
    with ir.InsertionPoint(program_block()):
        function = func.FuncOp(name, ir.FunctionType.get(types, []))
    unknown = ir.Location.unknown()
    block = function.add_entry_block([unknown if node is None else importer.location(node) for node, _ in tensors])
    values = iter(block.arguments)
    generator, importer.generator = importer.generator, NoGenerator()
    with ir.InsertionPoint(block):
        for node, argument in entries:
            if node is not None:
                importer.bind(node, _bound(importer, node, argument, values))
            else:
                state = next(values)
                importer.generator = NoGenerator() if state_result is None else Generator(importer, state)
        returned: Any = ()
        for node in module.graph.nodes:
            if node.op == "call_function":
                importer.import_node(node)
            elif node.op == "output":
                (returned,) = node.args
        items = returned if isinstance(returned, list | tuple) else [returned]
        results = [as_tensor(importer, item) for item in items if item is not None]
        if state_result is not None:
            results.insert(state_result, importer.generator.next_state())
        func.ReturnOp(results)
    importer.generator = generator
    _finish(function, importer.sizes.names, types, [result.type for result in results])
    return ir.FlatSymbolRefAttr.get(name)


def program_block() -> Any:
    """Return the block in which the functions of the program under construction stand."""
    place = ir.InsertionPoint.current.block.owner.operation
    while place.parent is not None:
        place = place.parent.operation
    return place.regions[0].blocks[0]


def caller_name() -> str:
    """Return the name of the function under construction."""
    name: str = ir.InsertionPoint.current.block.owner.opview.name.value
    return name


def _bound(importer: Importer, node: Any, argument: Any, values: Iterator[Any]) -> Any:
    if not isinstance(argument, TensorMeta):
        size = node.meta.get("val")
        if isinstance(size, torch.SymInt) and isinstance(argument, Expr | int):
            importer.sizes.give(size, Expr.of(argument))
        return argument
    value = next(values)
    size = node.meta.get("val")
    if isinstance(size, torch.SymInt):
        # Torch uses one symbol for what each round brings and for all functions of a loop.
        importer.sizes.forget(size)
        return importer.bind_size(value, size)
    return value


def _finish(function: Any, known: Container[str], tensors: Sequence[Any], results: Sequence[Any]) -> None:
    """Give a function arguments for the sizes that it uses, and its type."""
    symbols = sorted(symbols_used(function, known))
    block = function.entry_block
    for _ in symbols:
        block.add_argument(ir.IndexType.get(), ir.Location.unknown())
    entries: list[Mapping[str, Any]] = [{} for _ in tensors]
    entries += [{SYMBOL: ir.StringAttr.get(symbol)} for symbol in symbols]
    if symbols:
        function.arg_attrs = [ir.DictAttr.get(dict(entry)) for entry in entries]
    kind = ir.FunctionType.get([*tensors, *[ir.IndexType.get()] * len(symbols)], list(results))
    function.attributes["function_type"] = ir.TypeAttr.get(kind)


def as_tensor(importer: Importer, item: Any) -> Value:
    """Return what a body returns, or a call takes, as a tensor: sizes and conditions on sizes become 0-d."""
    given = item.meta.get("val") if isinstance(item, torch.fx.Node) else item
    if isinstance(given, bool | torch.SymBool):
        return condition(importer, given)
    value = importer.argument(item)
    if isinstance(value, ir.Value):
        return value
    if isinstance(value, Expr):
        return importer.emit(SizeOp, value=value)
    if isinstance(value, int | float):
        return importer.constant(value, DType.INT64 if isinstance(value, int) else DType.FLOAT64)
    raise ImportProgramError(f"'{item}' is neither a tensor nor a number")


def condition(importer: Importer, value: Any) -> Value:
    """Return a condition on sizes as a 0-d bool tensor."""
    if isinstance(value, bool):
        return importer.constant(value, DType.BOOL)
    return _condition(importer, value.node.expr)


def _condition(importer: Importer, expr: Any) -> Value:
    name = type(expr).__name__
    if name in ("BooleanTrue", "BooleanFalse"):
        return importer.constant(name == "BooleanTrue", DType.BOOL)
    if name == "Not":
        return importer.emit(BitwiseNotOp, _condition(importer, expr.args[0]))
    if name in _CONNECTIVES:
        first, *rest = (_condition(importer, part) for part in expr.args)
        for part in rest:
            first = importer.emit(_CONNECTIVES[name], first, part)
        return first
    if name in _COMPARISONS:
        sides = [importer.operand(importer.sizes.of_sympy(side), DType.INT64) for side in expr.args]
        return importer.emit(_COMPARISONS[name], *sides)
    raise ImportProgramError(f"condition '{expr}' on sizes has no form that stepwell can compute")


def metas_of(values: Sequence[Any]) -> list[Any]:
    """Return the types of the tensors among the arguments of a call; sizes and numbers stay."""
    return [meta_of(value) if isinstance(value, ir.Value) else value for value in values]


def merged_shapes(
    importer: Importer, predicate: Value, wanted: Sequence[Any], symbols: Sequence[Any], known: Container[str]
) -> Any:
    """Return the shapes of what two branches return where they differ in sizes; None where they do not.

    Torch has a new symbol for each size that depends on the branch: it is bound to the size in the branch that runs.

    Args:
        importer: of the program.
        predicate: which branch it is.
        wanted: what torch knows of the results; the generator's state comes behind them.
        symbols: the branches.
        known: the sizes known before them.

    Raises:
        ImportProgramError: a size depends on what the branch computes.
    """
    branches = [_returned_metas(symbol) for symbol in symbols]
    differing = False
    for want, *metas in zip(wanted, *branches, strict=False):
        for dim, size in enumerate(want.shape if isinstance(want, torch.Tensor) else ()):
            if importer.sizes.is_new(size):
                differing = True
                _bind_merged(importer, predicate, size, [meta.shape[dim] for meta in metas], known)
    if not differing:
        return None
    metas = [
        importer.tensor_meta(want) if isinstance(want, torch.Tensor) else meta
        for want, meta in zip_longest(wanted, branches[0])
    ]
    return ir.ArrayAttr.get([sizes_attribute(meta.shape) for meta in metas])


def _bind_merged(importer: Importer, predicate: Value, size: Any, sizes: Sequence[Expr], known: Container[str]) -> None:
    for expr in sizes:
        if any(name not in known for name in expr.symbols):
            raise ImportProgramError(f"a branch returns a tensor whose size '{expr}' it finds out itself")
    flat = importer.emit(ReshapeOp, predicate, sizes=[]) if meta_of(predicate).rank else predicate
    counts = [importer.operand(expr, DType.INT64) for expr in sizes]
    importer.bind_size(importer.emit(comparison.WhereOp, flat, *counts), size)


def _returned_metas(symbol: Any) -> list[TensorMeta]:
    function = function_named(program_block(), symbol)
    return list(map(meta_of, ir.FunctionType(ir.TypeAttr(function.attributes["function_type"]).value).results))
