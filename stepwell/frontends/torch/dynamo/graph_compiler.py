"""Compile a graph of ATen calls: as much of it as stepwell takes, the rest left to torch with one warning."""

import warnings
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, TypeVar

import torch

from stepwell.frontends.torch.dynamo.calls import PartCall, part_call
from stepwell.frontends.torch.dynamo.options import GraphOptions
from stepwell.frontends.torch.dynamo.partition import Part, partition
from stepwell.frontends.torch.dynamo.randomness import is_random
from stepwell.frontends.torch.dynamo.specialization import specialize
from stepwell.frontends.torch.dynamo.subgraph import host_module, part_module
from stepwell.frontends.torch.graph_module import from_graph_module
from stepwell.frontends.torch.node_sources import node_frames, source_location
from stepwell.frontends.torch.support_report import Refusal, describe_refusals, is_known, refuse_unknown
from stepwell.support.dtypes import DType
from stepwell.support.errors import CompileError, ImportProgramError, SourceLocation, StepwellError, UnsupportedOpError
from stepwell.support.module import Module

T = TypeVar("T")
# What takes an imported graph down to code: ``stepwell.compile``.
CompileModule = Callable[..., Callable[..., Any]]


class GraphCompiler:
    """Compiles the graphs of one call of the backend.

    Args:
        compile_module: what makes code of a module.
        options: the user's.
        fullgraph: whether a call that stepwell does not compile is an error.
    """

    def __init__(self, compile_module: CompileModule, options: GraphOptions, fullgraph: bool) -> None:
        self._compile_module = compile_module
        self._options = options
        self._fullgraph = fullgraph

    def compile(self, owner: Any) -> Any:
        """Return a graph module that does what ``owner``, a graph module of functional ATen calls, does.

        Raises:
            UnsupportedOpError: with ``fullgraph``: it holds calls that stepwell does not compile.
            StepwellError: an option is wrong, or something that compiling needs is missing.
        """
        _complete_metadata(owner)
        graph, device_type = owner.graph, _device_type(owner.graph)
        refused = _foreign(graph, "cpu" if self._options.is_simulated else device_type)
        random = {node for node in graph.nodes if self._options.eager_random and is_random(node.target)}
        refused |= {node: refuse_unknown(node) for node in graph.nodes if _is_call(node) and not is_known(node)}
        refused = {node: error for node, error in refused.items() if node not in random}
        compile_part = partial(self._compile_part, self._options.compile_arguments(device_type))
        while True:
            self._check(graph, refused)
            split = partition(graph, random | refused.keys())
            modules = self._each(refused, partial(_import_part, graph), split.parts)
            if len(modules) == len(split.parts):
                calls = self._each(refused, compile_part, split.parts, modules)
                if len(calls) == len(split.parts):
                    self._warn(graph, refused)
                    return host_module(owner, split, calls)

    def _each(self, refused: dict[Any, StepwellError], make: Callable[..., T], *columns: Sequence[Any]) -> list[T]:
        """Return what becomes of each part, the first column.

        Where a part is missing from what is returned, the calls that stop it have become more special, or are in
        ``refused`` now.
        """
        made = []
        for row in zip(*columns, strict=True):
            try:
                made.append(make(*row))
            except (ImportProgramError, CompileError) as error:
                found = _refused(row[0], error)
                if isinstance(error, ImportProgramError) and sum(map(specialize, found)):
                    continue
                if self._fullgraph:
                    raise
                refused |= found
        return made

    def _compile_part(self, arguments: Mapping[str, Any], part: Part, module: Module) -> PartCall:
        return part_call(part, module, self._compile_module(module, **arguments))

    def _check(self, graph: Any, refused: Mapping[Any, StepwellError]) -> None:
        if self._fullgraph and refused:
            raise UnsupportedOpError(
                f"fullgraph=True, and stepwell does not compile these calls:\n{_describe(graph, refused)}",
                fix="without fullgraph torch runs them",
                location=_source(next(iter(refused))),
            )

    def _warn(self, graph: Any, refused: Mapping[Any, StepwellError]) -> None:
        if refused:
            text = f"stepwell leaves these calls of a compiled graph to torch:\n{_describe(graph, refused)}"
            # The compiler's own lines mean nothing to the user: the text has the user's.
            warnings.warn(text, stacklevel=2)


def _import_part(graph: Any, part: Part) -> Module:
    return from_graph_module(part_module(part, graph))


def _refused(part: Part, error: StepwellError) -> dict[Any, StepwellError]:
    """Return which of a part's calls an error is about, and why: all of them, where it names none."""
    if isinstance(error, UnsupportedOpError) and error.refusals:
        reasons = {refusal.node.name: refusal.error for refusal in error.refusals}
    else:
        place = error.location.name if error.location is not None else ""
        reasons = {getattr(error, "node", "") or place: error}
    found = {node: reasons[node.name] for node in part.nodes if node.name in reasons}
    return found or dict.fromkeys(part.nodes, error)


def _is_call(node: Any) -> bool:
    return bool(node.op == "call_function")


def _describe(graph: Any, refused: Mapping[Any, StepwellError]) -> str:
    refusals = []
    for node in graph.nodes:
        if node in refused:
            # An error may be about a whole program, and its text take pages.
            reason = ImportProgramError(refused[node].message.partition("\n")[0], location=_source(node))
            refusals.append(Refusal(node, reason))
    return describe_refusals(refusals)


def _source(node: Any) -> SourceLocation | None:
    return source_location(node, node_frames(node, {}))


def _complete_metadata(owner: Any) -> None:
    """Give constants of the graph the metadata that calls have."""
    for node in owner.graph.nodes:
        if node.op == "get_attr" and "val" not in node.meta:
            node.meta["val"] = getattr(owner, node.target, None)


def _tensors(node: Any) -> list[Any]:
    value = node.meta.get("val")
    return [item for item in (value if isinstance(value, list | tuple) else (value,)) if isinstance(item, torch.Tensor)]


def _device_type(graph: Any) -> str:
    """Return the device that most of a graph is about: a GPU, where there is one."""
    kinds = {tensor.device.type for node in graph.nodes for tensor in _tensors(node)}
    return "cuda" if "cuda" in kinds else "cpu"


def _foreign(graph: Any, device_type: str) -> dict[Any, StepwellError]:
    """Return calls with tensors that programs for a device cannot have, and why."""
    found: dict[Any, StepwellError] = {}
    for node in graph.nodes:
        for tensor in [*_tensors(node), *(tensor for source in node.all_input_nodes for tensor in _tensors(source))]:
            reason = _foreignness(tensor, device_type)
            if _is_call(node) and reason:
                found[node] = ImportProgramError(reason)
    return found


def _foreignness(tensor: Any, device_type: str) -> str:
    if tensor.device.type != device_type:
        return f"a tensor is on device {tensor.device}"
    if tensor.layout is not torch.strided:
        return f"a tensor has layout {tensor.layout}"
    try:
        DType.from_name(str(tensor.dtype))
    except KeyError:
        return f"a tensor has dtype {tensor.dtype}"
    return ""
