"""Rewrite a program from the graph dialect to linalg on tensors.

Takes stage ``graph``, gives stage ``linalg``.  Refuses a program with ops that have no lowering, all of them at once
and before anything changes.

A new function is built beside the old one, with a map from old values to new: types change (size names leave the types,
unsigned integers become signless), and a rewrite in place would need casts at every border.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from stepwell.dialects.graph.base import GraphOperation
from stepwell.dialects.graph.sizes import SYMBOL
from stepwell.dialects.graph.types import TensorMeta, meta_of
from stepwell.passes.base import Pass, PassFailure, register_pass
from stepwell.passes.conversion.graph_to_linalg import LOWERINGS, Builder, Tensor
from stepwell.support.bindings import arith, func, ir, tensor
from stepwell.support.locations import plain_location
from stepwell.support.stages import Stage


@register_pass
@dataclass(frozen=True)
class ConvertGraphToLinalgPass(Pass):
    """Lower every graph op to linalg, tensor, arith, math and scf on tensors."""

    name: ClassVar[str] = "convert-graph-to-linalg"
    summary: ClassVar[str] = "lower graph ops to linalg on tensors"
    stage: ClassVar[Stage | None] = Stage.GRAPH
    gives: ClassVar[Stage | None] = Stage.LINALG

    def apply(self, op: "ir.Operation") -> None:
        """Lower every function that holds graph ops."""
        functions = [
            child
            for child in op.regions[0].blocks[0].operations
            if isinstance(child, func.FuncOp) and not child.is_external and _is_graph_function(child)
        ]
        _refuse_unsupported(op, functions)
        for function in functions:
            convert_function(function)


def _is_graph_function(function: Any) -> bool:
    types = [argument.type for argument in function.arguments]
    encoded = any(isinstance(kind, ir.RankedTensorType) and kind.encoding is not None for kind in types)
    unsigned = any(isinstance(kind, ir.RankedTensorType) and str(kind.element_type) == "ui8" for kind in types)
    return encoded or unsigned or any(isinstance(child, GraphOperation) for child in function.entry_block.operations)


def _refuse_unsupported(root: Any, functions: Sequence[Any]) -> None:
    missing = [
        child
        for function in functions
        for child in function.entry_block.operations
        if type(child) not in LOWERINGS and not isinstance(child, func.ReturnOp)
    ]
    for child in missing:
        child.location.emit_error(f"failed to legalize operation '{child.operation.name}'")
    if missing:
        names = ", ".join(sorted({child.operation.name for child in missing}))
        raise PassFailure(f"no lowering for {names}", location=plain_location(missing[0].location))


def convert_function(function: Any) -> None:
    """Replace one function of graph ops by its linalg form."""
    # None for a size, which is an index.
    metas = [None if _is_index(argument) else meta_of(argument) for argument in function.arguments]
    results = [meta_of(kind) for kind in ir.FunctionType(function.type).results]
    with function.location, ir.InsertionPoint(function):
        kind = ir.FunctionType.get(
            [ir.IndexType.get() if meta is None else Builder.type_of(meta) for meta in metas],
            [Builder.type_of(meta) for meta in results],
        )
        converted = func.FuncOp(function.name.value, kind)
    dictionaries = _argument_dictionaries(function)
    converted.arg_attrs = [
        _argument_attributes(attributes, meta) for attributes, meta in zip(dictionaries, metas, strict=True)
    ]
    block = converted.add_entry_block([argument.location for argument in function.arguments])
    with ir.InsertionPoint(block), ir.Location.unknown():
        symbols = _bind_symbols(block.arguments, metas, dictionaries)
        build = Builder(symbols)
        build.open_sizes()
    values: dict[Any, Tensor] = {
        old: Tensor(new, meta)
        for old, new, meta in zip(function.arguments, block.arguments, metas, strict=True)
        if meta is not None
    }
    for child in function.entry_block.operations:
        with ir.InsertionPoint(block), child.location:
            _convert_operation(build, child, values)
    build.close_sizes()
    function.operation.erase()


def _argument_dictionaries(function: Any) -> list[Any]:
    if "arg_attrs" in function.attributes:
        return [ir.DictAttr(attribute) for attribute in ir.ArrayAttr(function.attributes["arg_attrs"])]
    return [ir.DictAttr.get({}) for _ in function.arguments]


def _is_index(value: Any) -> bool:
    return isinstance(value.type, ir.IndexType)


def _argument_attributes(attributes: Any, meta: TensorMeta | None) -> Any:
    kept = {named.name: named.attr for named in attributes}
    shape = meta.shape if meta is not None else ()
    dynamic = [ir.StringAttr.get(str(size)) for size in shape if not size.is_constant]
    if dynamic:
        kept["stepwell.sizes"] = ir.ArrayAttr.get(dynamic)
    return ir.DictAttr.get(kept)


def _bind_symbols(
    arguments: Sequence[Any], metas: Sequence[TensorMeta | None], dictionaries: Sequence[Any]
) -> dict[str, Any]:
    """Read each symbol from an argument of which it is a whole dimension, or that is a size itself."""
    symbols: dict[str, Any] = {}
    for value, attributes in zip(arguments, dictionaries, strict=True):
        if _is_index(value) and SYMBOL in attributes:
            symbols.setdefault(ir.StringAttr(attributes[SYMBOL]).value, value)
    for name, position, dim in _symbol_sources(metas):
        if name not in symbols:
            symbols[name] = tensor.dim(arguments[position], arith.constant(ir.IndexType.get(), dim))
    return symbols


def _symbol_sources(metas: Sequence[TensorMeta | None]) -> Iterator[tuple[str, int, int]]:
    for position, meta in enumerate(metas):
        for dim, size in enumerate(meta.shape if meta is not None else ()):
            text = str(size)
            if not size.is_constant and text.isidentifier():
                yield text, position, dim


def _convert_operation(build: Builder, op: Any, values: dict[Any, Tensor]) -> None:
    if isinstance(op, func.ReturnOp):
        func.ReturnOp([values[operand].value for operand in op.operands])
        return
    operands: list[Any] = []
    for field in op.of_kind("operand"):
        found = getattr(op, field.name)
        if isinstance(found, list):
            operands.append([values[value] for value in found])
        else:
            operands.append(values[found] if found is not None else None)
    lowered = LOWERINGS[type(op)](build, op, *operands)
    parts = lowered if isinstance(lowered, tuple) else (lowered,)
    values.update(zip(op.operation.results, parts, strict=True))
