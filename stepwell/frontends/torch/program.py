"""Import a ``torch.export`` program as a module of the graph stage."""

import zipfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from stepwell.dialects.context import make_context
from stepwell.dialects.graph.creation import SizeOp
from stepwell.dialects.graph.types import TensorMeta, meta_of, tensor_type
from stepwell.frontends.torch import converters
from stepwell.frontends.torch.decompositions import decomposition_table
from stepwell.frontends.torch.direct import is_direct
from stepwell.frontends.torch.guards import read_guards
from stepwell.frontends.torch.importer import Importer
from stepwell.frontends.torch.interface import Argument, Interface, ProgramResult, read_interface
from stepwell.frontends.torch.sizes import size_table
from stepwell.frontends.torch.support_report import check_supported
from stepwell.support.bindings import func, ir
from stepwell.support.errors import ImportProgramError, InvalidInputFileError
from stepwell.support.module import Module
from stepwell.support.signature import ArgumentSpec, ResultSpec, Signature
from stepwell.support.stages import STAGE_ATTRIBUTE, Stage
from stepwell.support.structure import Structure
from stepwell.support.symbolic import Expr

converters.register()


def from_exported_program(
    program: "torch.export.ExportedProgram | str | Path",
    *,
    keep_params_as_input: bool = False,
    unwrap_unit_return_tuple: bool = False,
) -> Module:
    """Import an exported program.

    Args:
        program: what ``torch.export.export`` returned, or the path of a ``.pt2`` file that ``torch.export.save`` wrote.
        keep_params_as_input: let the caller pass parameters, buffers and constants, as positional arguments after the
            program's own; the module's table still holds the tensors, for ``detach_params``.
        unwrap_unit_return_tuple: return the one value of a program that returns a tuple of one.

    Returns:
        A module at stage ``graph``.

    Raises:
        UnsupportedOpError: the program holds ops that have no converter; the message lists all of them.
        TypeMismatchError: a result type differs from torch's own metadata.
        ImportProgramError: it needs something else that stepwell does not do.
        InvalidInputFileError: the file cannot be read.
    """
    exported = load_exported_program(program) if isinstance(program, str | Path) else program
    if not isinstance(exported, torch.export.ExportedProgram):
        raise ImportProgramError(
            f"expected an ExportedProgram or the path of a .pt2 file, got a value of type '{type(exported).__name__}'",
            fix="pass torch.export.export(model, args)",
        )
    originals = _nodes_by_name(exported.graph_module)
    direct = is_direct(exported)
    decomposed = exported if direct else exported.run_decompositions(decomposition_table())
    interface = read_interface(decomposed)
    sizes = size_table(
        [(argument.name, argument.node.meta["val"]) for argument in interface.arguments],
        decomposed.range_constraints,
    )
    importer = Importer(sizes, originals)
    if not direct:
        check_supported(decomposed.graph, importer.source)
    operation, signature = _build(importer, decomposed.graph, interface)
    # Decomposing drops the guards.
    signature = replace(signature, guards=read_guards(exported, signature.arguments))
    if unwrap_unit_return_tuple and signature.outputs.kind == "tuple" and len(signature.outputs.children) == 1:
        signature = replace(signature, outputs=signature.outputs.children[0])
    module = Module(operation, _parameters(decomposed, interface), signature)
    return replace(module, signature=_with_params_as_input(signature)) if keep_params_as_input else module


def detach_params(module: Module) -> tuple[Module, dict[str, Any]]:
    """Split a module from its tensors.

    Returns:
        A module whose caller passes parameters, buffers and constants, as positional arguments after the program's
        own; and the tensors by name, in that order.
    """
    signature = _with_params_as_input(module.signature) if module.signature is not None else None
    return replace(module, parameters={}, signature=signature), dict(module.parameters)


def load_exported_program(path: str | Path) -> "torch.export.ExportedProgram":
    """Read a ``.pt2`` file; raises InvalidInputFileError."""
    file = Path(path)
    if not file.is_file():
        raise InvalidInputFileError(f"there is no file '{path}'")
    try:
        # torch would print a page of its own about a file of another kind.
        if not zipfile.is_zipfile(file):
            raise zipfile.BadZipFile("it is not a zip file")
        return torch.export.load(file)
    except Exception as error:  # torch raises whatever its zip reader, its schema or its pickles meet
        raise InvalidInputFileError(
            f"'{path}' is not a program that this torch ({torch.__version__}) can read: {error}",
            fix="write it again with torch.export.save",
        ) from error


def _nodes_by_name(module: Any) -> dict[str, Any]:
    """Return the nodes of a graph module and of the blocks inside it that know their lines, by name."""
    graphs = [child.graph for child in module.modules() if isinstance(child, torch.fx.GraphModule)]
    # The outermost graph comes first and wins.
    return {node.name: node for graph in reversed(graphs) for node in graph.nodes if node.stack_trace}


def _build(importer: Importer, graph: Any, interface: Interface) -> tuple[Any, Signature]:
    """Build the module operation and the signature."""
    metas = [_argument_meta(importer, argument) for argument in interface.arguments]
    with make_context(), ir.Location.unknown():
        module = ir.Module.create()
        module.operation.attributes[STAGE_ATTRIBUTE] = ir.StringAttr.get(Stage.GRAPH.label)
        with ir.InsertionPoint(module.body):
            function = func.FuncOp("main", ir.FunctionType.get([tensor_type(meta) for meta in metas], []))
        function.arg_attrs = [_argument_attributes(argument) for argument in interface.arguments]
        block = function.add_entry_block([importer.location(argument.node) for argument in interface.arguments])
        for node in graph.nodes:
            if node.op == "placeholder":
                importer.bind(node, node.meta.get("val"))
        for argument, value in zip(interface.arguments, block.arguments, strict=True):
            importer.bind(argument.node, value)
        with ir.InsertionPoint(block):
            for node in graph.nodes:
                if node.op == "call_function":
                    importer.import_node(node)
            results = [_result_value(importer, result) for result in interface.results]
            func.ReturnOp(results)
        kind = ir.FunctionType.get([tensor_type(meta) for meta in metas], [result.type for result in results])
        function.attributes["function_type"] = ir.TypeAttr.get(kind)
        signature = _signature(importer, interface, metas, [meta_of(result) for result in results])
    return module.operation, signature


def _argument_meta(importer: Importer, argument: Argument) -> TensorMeta:
    try:
        return importer.tensor_meta(argument.node.meta["val"])
    except ImportProgramError as error:
        raise ImportProgramError(f"{argument.kind} '{argument.name}': {error.message}", fix=error.fix) from error


def _argument_attributes(argument: Argument) -> Any:
    return ir.DictAttr.get(
        {"stepwell.name": ir.StringAttr.get(argument.name), "stepwell.kind": ir.StringAttr.get(argument.kind)}
    )


def _result_value(importer: Importer, result: ProgramResult) -> Any:
    value = importer.values[result.value]
    if isinstance(value, ir.Value):
        return value
    if isinstance(value, Expr | int) and not isinstance(value, bool):
        with importer.location(result.value):
            return importer.emit(SizeOp, value=Expr.of(value))
    raise ImportProgramError(
        f"output '{result.value.name}' is neither a tensor nor a size", location=importer.source(result.value)
    )


def _signature(
    importer: Importer, interface: Interface, metas: list[TensorMeta], results: list[TensorMeta]
) -> Signature:
    arguments = tuple(
        ArgumentSpec(argument.name, argument.kind, meta.dtype, meta.shape, argument.persistent)
        for argument, meta in zip(interface.arguments, metas, strict=True)
    )
    specs = tuple(
        ResultSpec(_result_kind(importer, result), result.target, meta.dtype, meta.shape)
        for result, meta in zip(interface.results, results, strict=True)
    )
    return Signature(arguments, specs, interface.inputs, interface.outputs, importer.sizes.symbols)


def _result_kind(importer: Importer, result: ProgramResult) -> str:
    return result.kind if isinstance(importer.values[result.value], ir.Value) else "size"


def _parameters(program: Any, interface: Interface) -> dict[str, Any]:
    """Return the tensors behind the arguments that are not the user's."""
    tables: list[Mapping[str, Any]] = [program.state_dict, program.constants]
    found: dict[str, Any] = {}
    for argument in interface.arguments:
        if argument.kind != "user":
            value = next(table[argument.name] for table in tables if argument.name in table)
            found[argument.name] = value.detach().contiguous()
    return found


def _with_params_as_input(signature: Signature) -> Signature:
    """Return the signature of a program whose caller passes every argument."""
    passed = {number for number, _ in signature.inputs.paths()}
    missing = [Structure.leaf(number) for number in range(len(signature.arguments)) if number not in passed]
    positional, keyword = signature.inputs.children
    inputs = replace(
        signature.inputs, children=(replace(positional, children=(*positional.children, *missing)), keyword)
    )
    return replace(signature, inputs=inputs)
