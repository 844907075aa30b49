"""Import a ``torch.export`` program as a module of the graph stage."""

import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from stepwell.dialects.context import make_context
from stepwell.dialects.graph.sizes import SYMBOL
from stepwell.dialects.graph.types import TensorMeta, tensor_type
from stepwell.frontends.torch import converters, converters_complex
from stepwell.frontends.torch.call_decomposition import decompose_calls
from stepwell.frontends.torch.complex_values import (
    ComplexTensor,
    border_meta,
    meta_of_value,
    put_together,
    taken_apart,
)
from stepwell.frontends.torch.decomposed_types import check_result_dtypes
from stepwell.frontends.torch.decompositions import decompositions_for
from stepwell.frontends.torch.direct import is_direct
from stepwell.frontends.torch.generator import Generator, initial_states, state_of, with_generator
from stepwell.frontends.torch.guards import read_guards, zero_differences
from stepwell.frontends.torch.importer import Importer
from stepwell.frontends.torch.interface import Argument, Interface, ProgramResult, read_interface
from stepwell.frontends.torch.registry import Converter, ImportRules
from stepwell.frontends.torch.reproducers import attach_reproducer
from stepwell.frontends.torch.results import order_of, result_spec, result_value, with_host_sizes
from stepwell.frontends.torch.sizes import size_table
from stepwell.frontends.torch.small_sizes import allow_small_sizes
from stepwell.frontends.torch.strided_views import rewrite_strided_views
from stepwell.frontends.torch.support_report import raise_refusals
from stepwell.support.bindings import func, ir
from stepwell.support.dtypes import DType
from stepwell.support.errors import ImportProgramError, InvalidInputFileError, StepwellError
from stepwell.support.module import Module
from stepwell.support.signature import GENERATOR, USER_KINDS, ArgumentSpec, Signature
from stepwell.support.stages import STAGE_ATTRIBUTE, Stage
from stepwell.support.structure import Structure

converters.register()
converters_complex.register()


def from_exported_program(
    program: "torch.export.ExportedProgram | str | Path",
    *,
    keep_params_as_input: bool = False,
    unwrap_unit_return_tuple: bool = False,
    custom_converters: Mapping[Any, Converter] | None = None,
    decompositions: Mapping[Any, Callable[..., Any]] | None = None,
) -> Module:
    """Import an exported program.

    Args:
        program: what ``torch.export.export`` returned, or the path of a ``.pt2`` file that ``torch.export.save`` wrote.
        keep_params_as_input: let the caller pass parameters, buffers and constants, as positional arguments after the
            program's own; the module's table still holds the tensors, for ``detach_params``.
        unwrap_unit_return_tuple: return the one value of a program that returns a tuple of one.
        custom_converters: converters for this import alone, by op ("mylib::op" or an overload); they come before
            stepwell's own, and their ops stay whole.  ``register_converter`` says what one is.
        decompositions: how calls are decomposed, functions by overload, instead of ``default_decompositions()``.

    Returns:
        A module at stage ``graph``.

    Raises:
        UnsupportedOpError: the program holds calls that cannot be imported; the message lists all of them, and
            ``reproducer`` is the path of a script that repeats them.
        TypeMismatchError: a result type differs from torch's own metadata.
        ImportProgramError: it needs something else that stepwell does not do.
        InvalidInputFileError: the file cannot be read.
    """
    opened = open_program(program, ImportRules.of(custom_converters, decompositions))
    module = import_opened(opened)
    signature = module.signature
    assert signature is not None
    if unwrap_unit_return_tuple and signature.outputs.kind == "tuple" and len(signature.outputs.children) == 1:
        signature = replace(signature, outputs=signature.outputs.children[0])
    return replace(module, signature=_with_params_as_input(signature) if keep_params_as_input else signature)


def import_opened(opened: "OpenedProgram") -> Module:
    """Import a program that is open; raises what ``from_exported_program`` raises."""
    try:
        # Decomposing drops the guards.
        arguments = _argument_specs(opened.importer, opened.interface)
        guards = read_guards(opened.exported, arguments, opened.importer.sizes)
        opened.importer.zeros = zero_differences(guards)
        operation, signature = build_module(opened.importer, opened.decomposed.graph, opened.interface)
    except ImportProgramError as error:
        attach_reproducer(error, opened.importer.refusals)
        raise
    signature = replace(signature, guards=(*guards, *signature.guards))
    parameters = _parameters(opened.decomposed, opened.interface) | initial_states(signature)
    return Module(operation, parameters, signature)


@dataclass(frozen=True)
class OpenedProgram:
    """An exported program that is ready to be imported.

    Attributes:
        exported: the program as it was given.
        decomposed: what will be imported; ``exported`` itself where every call can be converted as it is.
        importer: has the program's sizes, and no values yet.
        interface: its arguments and results.
    """

    exported: Any
    decomposed: Any
    importer: Importer
    interface: Interface

    @property
    def results(self) -> tuple[ProgramResult, ...]:
        """What the user gets, flat and in order."""
        return tuple(result for result in self.interface.results if result.kind == "user")

    def with_every_result(self) -> "OpenedProgram":
        """Return the same program, not imported yet, which returns a tuple of the tensors of all its calls."""
        nodes = [node for node in self.decomposed.graph.nodes if node.op == "call_function"]
        users = tuple(ProgramResult(node, "user") for node in nodes if isinstance(node.meta.get("val"), torch.Tensor))
        written = tuple(result for result in self.interface.results if result.kind != "user")
        outputs = Structure("tuple", tuple(Structure.leaf(number) for number in range(len(users))))
        interface = replace(self.interface, results=(*users, *written), outputs=outputs)
        return replace(self, importer=self.importer.renewed(), interface=interface)


def open_program(program: Any, rules: ImportRules) -> OpenedProgram:
    """Read and decompose a program; raises what ``from_exported_program`` raises, but for calls that are refused."""
    exported = load_exported_program(program) if isinstance(program, str | Path) else program
    if not isinstance(exported, torch.export.ExportedProgram):
        raise ImportProgramError(
            f"expected an ExportedProgram or the path of a .pt2 file, got a value of type '{type(exported).__name__}'",
            fix="pass torch.export.export(model, args)",
        )
    originals = _nodes_by_name(exported.graph_module)
    decomposed = _decomposed(exported, rules)
    check_result_dtypes(exported, decomposed)
    interface = rewrite_strided_views(decomposed, read_interface(decomposed))
    sizes = size_table(
        [(argument.name, argument.node.meta["val"]) for argument in interface.arguments],
        decomposed.range_constraints,
    )
    allow_small_sizes(exported, sizes)
    return OpenedProgram(exported, decomposed, Importer(sizes, originals, rules), interface)


def _decomposed(exported: Any, rules: ImportRules) -> Any:
    """Return the program that is imported, by the cheapest of three ways."""
    if is_direct(exported, rules):
        return exported
    return decompose_calls(exported, rules) or _traced(exported, rules)


def _traced(exported: Any, rules: ImportRules) -> Any:
    """Return what torch makes of a program by tracing all of it."""
    try:
        return exported.run_decompositions(decompositions_for(rules))
    except StepwellError:
        raise
    except Exception as error:  # whatever torch meets while it traces
        if sparse := [node.name for node in exported.graph.nodes if _is_sparse(node.meta.get("val"))]:
            raise ImportProgramError(f"sparse tensors are not supported: {', '.join(sparse)}") from error
        message = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise ImportProgramError(
            f"torch does not decompose this program: {message}",
            # Torch takes only its own views apart, not those of custom ops and of its primitives.
            fix="use an op that returns a new tensor, or one of ATen's views" if "alias annotations" in message else "",
        ) from error


def _is_sparse(value: Any) -> bool:
    return isinstance(value, torch.Tensor) and value.layout is not torch.strided


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


def build_module(importer: Importer, graph: Any, interface: Interface) -> tuple[Any, Signature]:
    """Build the operation of a module, and the signature, of a graph of supported calls."""
    interface = with_generator(graph, interface)
    metas = [_argument_meta(importer, argument) for argument in interface.arguments]
    with make_context(), ir.Location.unknown():
        module = ir.Module.create()
        module.operation.attributes[STAGE_ATTRIBUTE] = ir.StringAttr.get(Stage.GRAPH.label)
        with ir.InsertionPoint(module.body):
            types = [_argument_type(argument, meta) for argument, meta in zip(interface.arguments, metas, strict=True)]
            function = func.FuncOp("main", ir.FunctionType.get(types, []))
        function.arg_attrs = [
            _argument_attributes(argument, meta) for argument, meta in zip(interface.arguments, metas, strict=True)
        ]
        block = function.add_entry_block([importer.location(argument.node) for argument in interface.arguments])
        for node in graph.nodes:
            if node.op == "placeholder":
                importer.bind(node, importer.argument(node.meta.get("val")))
        with ir.InsertionPoint(block):
            for argument, value, meta in zip(interface.arguments, block.arguments, metas, strict=True):
                importer.bind(argument.node, _argument_value(importer, argument, value, meta))
                if argument.kind == GENERATOR:
                    importer.generator = Generator(importer, value)
            for node in graph.nodes:
                if node.op == "call_function":
                    importer.import_node(node)
            raise_refusals(importer.refusals)
            if importer.generator is not None and (result := _next_state(interface)) is not None:
                importer.bind(result.value, importer.generator.next_state())
            interface = with_host_sizes(importer, interface)
            orders = [order_of(importer, result) for result in interface.results]
            shapes = {argument.name: meta.shape for argument, meta in zip(interface.arguments, metas, strict=True)}
            found = [
                result_value(importer, result, order, shapes.get(result.target))
                for result, order in zip(interface.results, orders, strict=True)
            ]
            results = [put_together(importer, x) if isinstance(x, ComplexTensor) else x for x in found]
            func.ReturnOp(results)
        kind = ir.FunctionType.get(types, [result.type for result in results])
        function.attributes["function_type"] = ir.TypeAttr.get(kind)
        signature = _signature(importer, interface, list(map(meta_of_value, found)), orders)
    return module.operation, signature


def _next_state(interface: Interface) -> ProgramResult | None:
    """Return the result that is the generator's new state; None where the caller passes a state to each call."""
    state = state_of(interface)
    return next((result for result in interface.results if state is not None and result.target == state.name), None)


def _argument_meta(importer: Importer, argument: Argument) -> TensorMeta:
    value = argument.node.meta["val"]
    try:
        if argument.kind == "size":
            return TensorMeta((importer.sizes.expr(value),), DType.INT64)
        return TensorMeta((), DType.FLOAT64) if argument.kind == "scalar" else importer.tensor_meta(value)
    except ImportProgramError as error:
        raise ImportProgramError(f"{argument.kind} '{argument.name}': {error.message}", fix=error.fix) from error


def _argument_specs(importer: Importer, interface: Interface) -> tuple[ArgumentSpec, ...]:
    metas = [_argument_meta(importer, argument) for argument in interface.arguments]
    return tuple(
        ArgumentSpec(argument.name, argument.kind, meta.dtype, meta.shape, argument.persistent, argument.memory)
        for argument, meta in zip(interface.arguments, metas, strict=True)
    )


def _argument_type(argument: Argument, meta: TensorMeta) -> Any:
    return ir.IndexType.get() if argument.kind == "size" else tensor_type(border_meta(meta))


def _argument_value(importer: Importer, argument: Argument, value: Any, meta: TensorMeta) -> Any:
    if argument.kind == "size":
        return meta.shape[0]
    if not meta.dtype.is_complex:
        return value
    with importer.location(argument.node):
        return taken_apart(importer, value)


def _argument_attributes(argument: Argument, meta: TensorMeta) -> Any:
    texts = {"stepwell.name": argument.name, "stepwell.kind": argument.kind}
    if argument.kind == "size":
        texts[SYMBOL] = str(meta.shape[0])
    return ir.DictAttr.get({key: ir.StringAttr.get(text) for key, text in texts.items()})


def _signature(
    importer: Importer,
    interface: Interface,
    results: list[TensorMeta],
    orders: list[tuple[int, ...]],
) -> Signature:
    specs = tuple(
        result_spec(importer, result, meta, order)
        for result, meta, order in zip(interface.results, results, orders, strict=True)
    )
    return Signature(
        _argument_specs(importer, interface),
        specs,
        interface.inputs,
        interface.outputs,
        importer.sizes.symbols,
        tuple(importer.guards),
    )


def _parameters(program: Any, interface: Interface) -> dict[str, Any]:
    """Return the tensors behind the arguments that are not the user's."""
    tables: list[Mapping[str, Any]] = [program.state_dict, program.constants]
    found: dict[str, Any] = {}
    for argument in interface.arguments:
        if argument.kind not in USER_KINDS:
            value = next(table[argument.name] for table in tables if argument.name in table)
            found[argument.name] = value.detach().resolve_conj().resolve_neg().contiguous()
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
