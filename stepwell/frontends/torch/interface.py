"""What an exported program takes and gives, read from torch's graph signature and tree specs."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch.export.graph_signature import InputKind, OutputKind
from torch.utils import _pytree as pytree

from stepwell.support.errors import ImportProgramError
from stepwell.support.signature import MemoryView
from stepwell.support.structure import Structure

_KINDS = {
    InputKind.USER_INPUT: "user",
    InputKind.PARAMETER: "parameter",
    InputKind.BUFFER: "buffer",
    InputKind.CONSTANT_TENSOR: "constant",
}
_RESULT_KINDS = {
    OutputKind.USER_OUTPUT: "user",
    OutputKind.BUFFER_MUTATION: "buffer",
    OutputKind.USER_INPUT_MUTATION: "input",
}
_USER_KINDS: dict[type, str] = {torch.Tensor: "user", torch.SymInt: "size", torch.SymFloat: "scalar"}
_CONSTANTS = (type(None), bool, int, float, str)


@dataclass(frozen=True)
class Argument:
    """An argument of the program: a tensor, or a number that is not known before the call.

    Attributes:
        node: its placeholder.
        name: the user's path, or the tensor's qualified name.
        kind: one of ARGUMENT_KINDS.
        persistent: False for a buffer that a state dict leaves out.
        memory: what the caller passes where the program takes the memory of it; see ``strided_views``.
    """

    node: Any
    name: str
    kind: str
    persistent: bool = True
    memory: MemoryView | None = None


@dataclass(frozen=True)
class ProgramResult:
    """A result of the program.

    Attributes:
        value: the fx node that computes it.
        kind: "user", "buffer" or "input".
        target: for the last two, the name of the argument that takes the value.
    """

    value: Any
    kind: str
    target: str = ""


@dataclass(frozen=True)
class Interface:
    """Arguments (the user's first), results (the user's first) and their nesting.

    The leaves of ``inputs`` and ``outputs`` are indices into ``arguments`` and ``results``.
    """

    arguments: tuple[Argument, ...]
    results: tuple[ProgramResult, ...]
    inputs: Structure
    outputs: Structure


def read_interface(program: Any) -> Interface:
    """Read the interface of an ``ExportedProgram``; raises ImportProgramError for inputs that are not tensors."""
    placeholders = {node.name: node for node in program.graph.nodes if node.op == "placeholder"}
    users: list[Any] = []
    others: list[Argument] = []
    for spec in program.graph_signature.input_specs:
        if spec.kind is InputKind.TOKEN:
            continue  # which keeps calls in order that only check something
        if spec.kind not in _KINDS:
            raise ImportProgramError(f"input '{spec.arg.name}' is a {spec.kind.name.lower()}, which is not supported")
        node = placeholders[spec.arg.name]
        if spec.kind is InputKind.USER_INPUT:
            users.append(node)
        else:
            others.append(Argument(node, spec.target, _KINDS[spec.kind], spec.persistent is not False))
    names = _parameter_names(program)
    paths = _input_paths(program, names, len(users))
    arguments: list[Argument] = []
    leaves: list[Structure] = []
    for node, path in zip(users, paths, strict=True):
        value = node.meta.get("val")
        kind = next((kind for types, kind in _USER_KINDS.items() if isinstance(value, types)), None)
        if kind is not None:
            leaves.append(Structure.leaf(len(arguments)))
            arguments.append(Argument(node, path, kind))
        elif isinstance(value, _CONSTANTS):
            leaves.append(Structure("constant", value=value))
        else:
            raise ImportProgramError(
                f"input '{path}' is a {type(value).__name__}; inputs must be tensors or numbers",
                fix="pass it as a 0-d tensor, or fix its value at export",
            )
    inputs = _structure(program.call_spec.in_spec, iter(leaves), "inputs")
    positional, keyword = inputs.children
    inputs = replace(inputs, children=(replace(positional, keys=tuple(names)), keyword))
    results, outputs = _read_results(program, arguments)
    return Interface((*arguments, *others), results, inputs, outputs)


def _read_results(program: Any, arguments: Sequence[Argument]) -> tuple[tuple[ProgramResult, ...], Structure]:
    (returned,) = next(node for node in program.graph.nodes if node.op == "output").args
    input_names = {argument.node.name: argument.name for argument in arguments}
    written: list[ProgramResult] = []
    leaves: list[Structure] = []
    returned_arguments = _returned_arguments(program, arguments)
    # A value that is returned twice is one tensor, as it is in eager mode.
    users: dict[Any, int] = {}
    for spec, value in zip(program.graph_signature.output_specs, returned, strict=True):
        if spec.kind is OutputKind.TOKEN:
            continue
        if spec.kind not in _RESULT_KINDS:
            raise ImportProgramError(f"output '{spec.arg.name}' is a {spec.kind.name.lower()}, which is not supported")
        kind = _RESULT_KINDS[spec.kind]
        if kind != "user":
            target = spec.target if kind == "buffer" else input_names[spec.target]
            written.append(ProgramResult(value, kind, target))
        elif value in returned_arguments:
            leaves.append(Structure("argument", value=returned_arguments[value]))
        elif isinstance(value, torch.fx.Node) and value.meta.get("val") is not None:
            leaves.append(Structure.leaf(users.setdefault(value, len(users))))
        elif isinstance(value, _CONSTANTS):
            leaves.append(Structure("constant", value=value))
        else:
            leaves.append(Structure("constant", value=None))
    results = [ProgramResult(value, "user") for value in users]
    return (*results, *written), _structure(program.call_spec.out_spec, iter(leaves), "outputs")


def _returned_arguments(program: Any, arguments: Sequence[Argument]) -> dict[Any, int]:
    """Return the values that are a tensor of the user's at the end, with the number of that argument.

    They are the inputs that the program leaves alone, and the new values of those that it changes: torch gives the new
    value to the output where a program returns the input itself, and a copy of the value to the input elsewhere.
    """
    numbers = {argument.node.name: number for number, argument in enumerate(arguments) if argument.kind == "user"}
    (returned,) = next(node for node in program.graph.nodes if node.op == "output").args
    specs = program.graph_signature.output_specs
    changed = {
        spec.target: value
        for spec, value in zip(specs, returned, strict=True)
        if spec.kind is OutputKind.USER_INPUT_MUTATION
    }
    kept = {argument.node: numbers[name] for argument in arguments if (name := argument.node.name) in numbers}
    return {node: number for node, number in kept.items() if node.name not in changed} | {
        value: numbers[name] for name, value in changed.items() if name in numbers
    }


def _parameter_names(program: Any) -> list[str]:
    """Return what the user calls each positional argument."""
    positional, _ = program.call_spec.in_spec.children()
    entry = program.module_call_graph[0].signature if program.module_call_graph else None
    names = list(getattr(entry, "forward_arg_names", None) or ())
    count = len(positional.children())
    return [names[index] if index < len(names) else f"args[{index}]" for index in range(count)]


def _input_paths(program: Any, names: Sequence[str], count: int) -> list[str]:
    """Return the user's name for each flat input, such as ``batch['mask'][0]``."""
    positional, keyword = program.call_spec.in_spec.children()
    paths: list[str] = []
    for name, child in zip(names, positional.children(), strict=True):
        paths += _paths(child, name)
    for key, child in zip(keyword.context, keyword.children(), strict=True):
        paths += _paths(child, str(key))
    assert len(paths) == count, "flat inputs and tree spec differ"
    return paths


def _paths(spec: Any, prefix: str) -> Iterator[str]:
    if spec.is_leaf():
        yield prefix
        return
    keys = _field_names(spec)
    for index, child in enumerate(spec.children()):
        if keys is None:
            yield from _paths(child, f"{prefix}[{index}]")
        elif _kind(spec) == "namedtuple":
            yield from _paths(child, f"{prefix}.{keys[index]}")
        else:
            yield from _paths(child, f"{prefix}[{keys[index]!r}]")


def _structure(spec: Any, leaves: Iterator[Structure], where: str) -> Structure:
    """Return a torch tree spec as a Structure around the given leaves."""
    if spec.is_leaf():
        return next(leaves)
    kind = _kind(spec)
    if where == "inputs" and not _is_plain(spec.type):
        raise ImportProgramError(
            f"an input holds a {spec.type.__name__}; inputs must be tensors in tuples, lists, dicts and namedtuples"
        )
    children = tuple(_structure(child, leaves, where) for child in spec.children())
    name = getattr(spec.context, "__name__", spec.type.__name__) if kind == "namedtuple" else None
    return Structure(kind, children, tuple(_field_names(spec) or ()), name)


def _is_plain(kind: Any) -> bool:
    return kind is pytree.namedtuple or (isinstance(kind, type) and issubclass(kind, tuple | list | dict))


def _kind(spec: Any) -> str:
    """Return the container that stands for a node: classes that artifacts cannot know become the nearest plain one."""
    kind = spec.type
    if kind is pytree.namedtuple:
        return "namedtuple"
    if isinstance(kind, type):
        for plain, name in ((list, "list"), (tuple, "tuple"), (dict, "dict")):
            if issubclass(kind, plain):
                return name
    return "dict" if _field_names(spec) is not None else "tuple"


def _field_names(spec: Any) -> Sequence[Any] | None:
    """Return the keys of a dict or the fields of a namedtuple; None for a sequence."""
    if spec.type is pytree.namedtuple:
        return tuple(spec.context._fields)
    context = spec.context
    if isinstance(spec.type, type) and issubclass(spec.type, dict) and isinstance(context, tuple | list):
        # A defaultdict keeps (factory, keys); an OrderedDict and its kin the keys alone.
        if len(context) == 2 and isinstance(context[1], list) and len(context[1]) == len(spec.children()):
            return tuple(context[1])
        return tuple(context)
    if isinstance(context, list | tuple) and len(context) == len(spec.children()) and spec.type not in (list, tuple):
        return tuple(context) if all(isinstance(key, str) for key in context) else None
    return None
