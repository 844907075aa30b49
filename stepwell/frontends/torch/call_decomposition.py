"""Decompose the calls of a program one by one, where nothing asks for a trace of the whole program.

``ExportedProgram.run_decompositions`` traces everything anew, and makes views and changes in place plain values on the
way.  A program that changes nothing in place needs no trace: what is known stays, and the other calls are recorded by
themselves.  That takes a fraction of the time.
"""

import operator
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from torch._dispatch.python import enable_python_dispatcher
from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode
from torch.export.graph_signature import OutputKind
from torch.fx.experimental.symbolic_shapes import free_unbacked_symbols, rebind_unbacked
from torch.fx.traceback import NodeSource
from torch.utils import _pytree as pytree

from stepwell.frontends.torch.call_recorder import Body, CallRecorder, CannotRecordError, Origin
from stepwell.frontends.torch.decompositions import decompositions_for
from stepwell.frontends.torch.direct import is_direct_call
from stepwell.frontends.torch.in_place import functional_call
from stepwell.frontends.torch.registry import ImportRules


@dataclass(frozen=True)
class DecomposedProgram:
    """An exported program with another graph.

    Attributes:
        exported: has everything else: signature, tensors, bounds.
        graph: with the same placeholders and results.
    """

    exported: Any
    graph: Any

    def __getattr__(self, name: str) -> Any:
        return getattr(self.exported, name)


def decompose_calls(program: Any, rules: ImportRules) -> DecomposedProgram | None:
    """Return an exported program with its calls decomposed; None where torch must trace the whole."""
    if rules.decompositions is not None or any(
        spec.kind is not OutputKind.USER_OUTPUT for spec in program.graph_signature.output_specs
    ):
        return None
    try:
        with _without_libraries():
            return DecomposedProgram(program, _Decomposition(program.graph, rules).graph)
    except CannotRecordError:
        return None


_LIBRARIES = ("cudnn", "mkldnn", "nnpack")


@contextmanager
def _without_libraries() -> Iterator[None]:
    """Keep composites from choosing kernels of libraries, as torch does where it traces a program."""
    # Not by torch.backends, whose flags warn, reach further than this, and may be locked.
    setters = [getattr(torch._C, f"_set_{name}_enabled") for name in _LIBRARIES]
    before = [getattr(torch._C, f"_get_{name}_enabled")() for name in _LIBRARIES]
    try:
        for set_enabled in setters:
            set_enabled(False)
        yield
    finally:
        for set_enabled, enabled in zip(setters, before, strict=True):
            set_enabled(enabled)


class _Decomposition:
    """Copies a graph, and decomposes calls on the way.

    Attributes:
        graph: the copy.
    """

    def __init__(self, graph: Any, rules: ImportRules) -> None:
        self.graph = torch.fx.Graph()
        self._rules = rules
        self._table = decompositions_for(rules)
        self._mode = _fake_mode(graph)
        # A node of an old graph -> a node of the new one, nested lists of them, a plain value, or the body of a block.
        self._values: dict[Any, Any] = {}
        for node in graph.nodes:
            self._values[node] = self._value_of(node)

    def _value_of(self, node: Any) -> Any:
        if node.op == "get_attr":
            return getattr(node.graph.owning_module, node.target)
        if isinstance(node.target, torch._ops.HigherOrderOperator):
            return self._copy_block(node)
        if node.target is operator.getitem:
            return self._item(node)
        if node.target is torch.ops.aten.detach_.default:
            # What torch does with constants; only gradients know of it.
            return self._mapped(node.args[0])
        if node.op != "call_function" or is_direct_call(node, self._rules):
            return self._copy(node)
        if not isinstance(node.target, torch._ops.OpOverload) or node.target._schema.is_mutable:
            raise CannotRecordError(f"'{node.target}' is no function of tensors")
        return self._record(node)

    def _without_new_sizes(self) -> Any:
        """Let sizes that depend on data be forgotten, as calls that make new ones are not recorded."""
        sizes = self._mode.shape_env
        return nullcontext() if sizes is None else sizes.ignore_fresh_unbacked_symbols()

    def _copy_block(self, node: Any) -> Any:
        if node.target is torch.ops.higher_order.wrap_with_set_grad_enabled:
            _, body, *operands = node.args
            return self._inlined(self._values[body].graph, operands)
        if not is_direct_call(node, self._rules):
            raise CannotRecordError(f"'{node.target}' is not known")
        for body in node.all_input_nodes:
            if body.op == "get_attr":
                self._values[body] = Body(_Decomposition(self._values[body].graph, self._rules).graph)
        return self._copy(node)

    def _inlined(self, body: Any, operands: Any) -> Any:
        """Return the results of a block of ``torch.no_grad``, which means nothing here."""
        given = iter(operands)
        for node in body.nodes:
            if node.op == "placeholder":
                self._values[node] = self._mapped(next(given))
            elif node.op == "output":
                return self._mapped(node.args[0])
            else:
                self._values[node] = self._value_of(node)
        return None

    def _mapped(self, argument: Any) -> Any:
        return torch.fx.node.map_arg(argument, self._values.__getitem__)

    def _item(self, node: Any) -> Any:
        """Return one of a call's results, complex ones included."""
        results, place = node.args
        found = self._values[results]
        return self._copy(node) if isinstance(found, torch.fx.Node) else found[place]

    def _copy(self, node: Any) -> Any:
        made = self.graph.node_copy(node, self._values.__getitem__)
        if node.op == "placeholder":
            # The signature names it; a graph makes `input_1` of `input`, which is one of Python's own names.
            made.name = node.name
        made.meta["from_node"] = [_source(node)]
        is_change = isinstance(node.target, torch._ops.OpOverload) and node.target._schema.is_mutable
        if is_change and functional_call(made, self._rules) is None:
            raise CannotRecordError(f"'{node.target}' changes what a decomposition made")
        return made

    def _record(self, node: Any) -> Any:
        inputs = [(other.meta.get("val"), self._values[other]) for other in node.all_input_nodes]
        reads = bool(node.meta.get("unbacked_bindings"))
        known = free_unbacked_symbols([value for value, _ in inputs if isinstance(value, torch.Tensor | torch.SymInt)])
        origin = Origin(node.target, node.name, {**node.meta, "from_node": [_source(node)]})
        recorder = CallRecorder(self.graph, self._table, self._rules, origin, inputs, known, reads_sizes=reads)
        args, kwargs = _values_of(node.args), _values_of(node.kwargs)
        with torch.no_grad(), enable_python_dispatcher(), self._mode, self._without_new_sizes():
            try:
                result = recorder.run(node.target, args, kwargs)
                # What the call reads has a symbol in the program, and got another one now.
                rebind_unbacked(self._mode.shape_env, node, result)
            except Exception as error:  # whatever a decomposition meets; the trace of the whole program says it, too
                raise CannotRecordError(f"'{node.target}': {error}") from error
        found = recorder.of(result)
        if _types(node.meta["val"]) != _types(found):
            # The sizes are compared when the parts are imported.
            raise CannotRecordError(f"what '{node.target}' becomes has other types")
        recorder.drop_unused(found)
        return found


def _values_of(argument: Any) -> Any:
    """Return arguments of a call with values in place of nodes, in lists that a decomposition may change."""
    if isinstance(argument, torch.fx.Node):
        return argument.meta.get("val")
    if isinstance(argument, list | tuple):
        items = [_values_of(item) for item in argument]
        return items if isinstance(argument, list) else tuple(items)
    if isinstance(argument, dict):
        return {key: _values_of(item) for key, item in argument.items()}
    return argument


def _types(value: Any) -> list[Any]:
    """Return dtype and rank of each tensor among values or nodes in nested lists; None for what is no tensor."""
    leaves = [leaf.meta["val"] if isinstance(leaf, torch.fx.Node) else leaf for leaf in pytree.tree_leaves(value)]
    return [(leaf.dtype, leaf.dim()) if isinstance(leaf, torch.Tensor) else None for leaf in leaves]


def _fake_mode(graph: Any) -> Any:
    """Return the mode that a graph's fake tensors belong to."""
    values = (value for node in graph.nodes for value in pytree.tree_leaves(node.meta.get("val")))
    return next((value.fake_mode for value in values if isinstance(value, FakeTensor)), None) or FakeTensorMode()


def _source(node: Any) -> NodeSource:
    """Return where the nodes that stand for ``node`` come from, without what that one came from."""
    source = NodeSource(None, "decompose_calls")
    source.node_info = NodeSource.NodeInfo(node.name, str(node.target), id(node.graph))
    return source
