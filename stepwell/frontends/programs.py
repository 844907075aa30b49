"""Whatever the driver accepts as a program, as a Module."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from stepwell.dialects.context import make_context
from stepwell.dialects.graph.sizes import SYMBOL
from stepwell.dialects.graph.types import TensorMeta, meta_of
from stepwell.dialects.parsing import parse_file
from stepwell.support.bindings import ir
from stepwell.support.dtypes import DType
from stepwell.support.errors import ImportProgramError, InvalidInputFileError, InvalidOptionError, SourceLocation
from stepwell.support.module import Module
from stepwell.support.signature import ArgumentSpec, ResultSpec, Signature, SymbolSpec
from stepwell.support.structure import Structure
from stepwell.support.symbolic import Expr


def read_program(program: Any, example_inputs: Sequence[Any] | None = None) -> Module:
    """Return a program as a module that may be changed.

    Args:
        program: an ``ExportedProgram``, an ``nn.Module`` with ``example_inputs``, a ``Module``, which is copied, or the
            path of a ``.pt2`` or ``.mlir`` file.
        example_inputs: arguments to export an ``nn.Module`` with.

    Raises:
        InvalidOptionError: it is none of these, or the example inputs are missing or too much.
        InvalidInputFileError: the file cannot be read.
        ImportProgramError: the exported program cannot be imported.
    """
    is_network = not isinstance(program, Module | str | Path) and hasattr(program, "state_dict") and callable(program)
    # An ExportedProgram has a state_dict too, and refuses to be called.
    if is_network and not hasattr(program, "graph_signature"):
        return _export(program, example_inputs)
    if example_inputs is not None:
        raise InvalidOptionError("example_inputs are for an nn.Module; an exported program has its own")
    if isinstance(program, Module):
        return program.clone()
    if isinstance(program, str | Path):
        return _read_file(Path(program))
    if hasattr(program, "graph_signature"):
        from stepwell.frontends.torch.program import from_exported_program

        return from_exported_program(program)
    raise InvalidOptionError(
        f"cannot compile a value of type '{type(program).__name__}'",
        fix="pass an ExportedProgram, an nn.Module with example_inputs, a Module, or a path to .pt2 or .mlir",
    )


def _export(network: Any, example_inputs: Sequence[Any] | None) -> Module:
    if example_inputs is None:
        raise InvalidOptionError(
            f"an nn.Module ('{type(network).__name__}') can only be compiled with example_inputs",
            fix="pass example_inputs=(...), or torch.export.export(model, (...))",
        )
    import torch

    from stepwell.frontends.torch.program import from_exported_program

    try:
        exported = torch.export.export(network, tuple(example_inputs))
    except Exception as error:  # torch raises errors of many kinds, few of them public
        reason, _, details = str(error).partition("\n")
        raise ImportProgramError(
            f"torch.export cannot export '{type(network).__name__}': {reason}",
            fix="call torch.export.export, which says more, and pass its result",
            location=_last_frame(details),
        ) from error
    return from_exported_program(exported)


def _last_frame(text: str) -> SourceLocation | None:
    """Return the last line of a user's file that an error of torch quotes."""
    frames = re.findall(r'File "([^"<]+)", line (\d+), in', text)
    return SourceLocation(frames[-1][0], int(frames[-1][1])) if frames else None


def _read_file(path: Path) -> Module:
    if path.suffix == ".pt2":
        from stepwell.frontends.torch.program import from_exported_program

        return from_exported_program(path)
    if path.suffix not in (".mlir", ".mlirbc"):
        raise InvalidInputFileError(
            f"'{path}' is no program file: its name must end in .pt2, .mlir or .mlirbc",
            fix="stepwell.load reads artifacts (.swx)",
        )
    with make_context(), ir.Location.unknown():
        module = Module(parse_file(path))
        if not is_foreign(module):
            main_function(module.operation)
        return module


def is_foreign(module: Module) -> bool:
    """Tell whether a module is linalg on tensors as other importers write it: it has no stage, and no op of ours."""
    if module.stage is not None:
        return False
    functions = [op.operation for op in module.operation.regions[0].blocks[0].operations]
    dialects = {
        child.operation.name.partition(".")[0]
        for function in functions
        if function.name == "func.func" and len(function.regions[0].blocks)
        for child in function.regions[0].blocks[0].operations
    }
    return "linalg" in dialects and not dialects & {"graph", "plan"}


def main_function(module: Any) -> Any:
    """Return ``func.func @main`` of a module's operation; raises InvalidInputFileError."""
    for op in module.regions[0].blocks[0].operations:
        if op.operation.name == "func.func" and op.operation.attributes["sym_name"].value == "main":
            if len(op.operation.regions[0].blocks) != 1:
                raise InvalidInputFileError("function @main must have a body of one block")
            return op.operation
    raise InvalidInputFileError("the module has no function @main")


def _meta(value: Any, what: str) -> TensorMeta:
    try:
        return meta_of(value)
    except (KeyError, ValueError) as error:
        raise InvalidInputFileError(
            f"{what} of @main is '{value.type}': {error.args[0]}",
            fix="use tensors of stepwell's dtypes, whose encoding names their dynamic sizes",
        ) from error


def signature_of(module: Any) -> Signature:
    """Return the signature of a program that came as plain MLIR, whose caller passes every argument by position.

    Args:
        module: an operation whose ``@main`` has the names of its sizes in its types, as at stages ``graph`` and
            ``kernels``.
    """
    function = main_function(module)
    block = function.regions[0].blocks[0]
    arguments = tuple(
        _argument(number, argument, attributes)
        for number, (argument, attributes) in enumerate(
            zip(block.arguments, argument_attributes(function), strict=True)
        )
    )
    returned = list(block.operations)[-1].operands
    outs = [_meta(value, f"result {number}") for number, value in enumerate(returned)]
    results = tuple(ResultSpec("user", "", meta.dtype, meta.shape) for meta in outs)
    symbols: dict[str, SymbolSpec] = {}
    for number, argument in enumerate(arguments):
        for dim, size in enumerate(argument.shape):
            if not size.is_constant and str(size).isidentifier():
                lowest = -(2**63) if argument.is_size else 0
                symbols.setdefault(str(size), SymbolSpec(str(size), number, dim, lowest))
    positional = Structure("tuple", tuple(Structure.leaf(number) for number in range(len(arguments))))
    inputs = Structure("tuple", (positional, Structure("dict")))
    leaves = tuple(Structure.leaf(number) for number in range(len(results)))
    outputs = leaves[0] if len(leaves) == 1 else Structure("tuple", leaves)
    return Signature(arguments, results, inputs, outputs, tuple(symbols.values()))


def _argument(number: int, value: Any, attributes: Mapping[str, Any]) -> ArgumentSpec:
    name = attributes["stepwell.name"].value if "stepwell.name" in attributes else f"arg{number}"
    if isinstance(value.type, ir.IndexType) and SYMBOL in attributes:
        return ArgumentSpec(name, "size", DType.INT64, (Expr.parse(attributes[SYMBOL].value),))
    meta = _meta(value, f"argument {number}")
    return ArgumentSpec(name, "user", meta.dtype, meta.shape)


def argument_attributes(function: Any) -> list[Mapping[str, Any]]:
    """Return the attributes of each argument of a function."""
    count = len(function.regions[0].blocks[0].arguments)
    if "arg_attrs" not in function.attributes:
        return [{} for _ in range(count)]
    return [{named.name: named.attr for named in entry} for entry in function.attributes["arg_attrs"]]


def mark_arguments(module: Module) -> None:
    """Note on main's arguments which are the same at every call, as ``form-kernels`` wants to know.

    What the caller passes is the user's, whatever it was in the exported program; a buffer that the program changes is
    marked so.
    """
    function = main_function(module.operation)
    signature = module.signature
    passed = None if signature is None else {number for number, _ in signature.inputs.paths()}
    changed = set() if signature is None else {result.target for result in signature.results if result.target}
    with module.context:
        entries = []
        for number, attributes in enumerate(argument_attributes(function)):
            entry = dict(attributes)
            if passed is None or number in passed:
                entry["stepwell.kind"] = ir.StringAttr.get("user")
            elif signature is not None and signature.arguments[number].name in changed:
                entry["stepwell.mutated"] = ir.UnitAttr.get()
            entries.append(ir.DictAttr.get(entry))
        function.attributes["arg_attrs"] = ir.ArrayAttr.get(entries)
