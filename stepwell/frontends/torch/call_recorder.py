"""Record what one call of a program is decomposed into.

The decomposition runs on the fake tensors that torch left at the program's nodes, and every op that it calls becomes a
node of a graph.  Sizes that it computes need no calls: they stand in the arguments as they are.
"""

import operator
from collections import Counter
from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Any

import torch
from torch.fx.experimental.symbolic_shapes import free_unbacked_symbols
from torch.utils import _pytree as pytree
from torch.utils._python_dispatch import TorchDispatchMode

from stepwell.frontends.torch.data_sizes import serve_as_size
from stepwell.frontends.torch.in_place import functional_overload
from stepwell.frontends.torch.new_nodes import new_call
from stepwell.frontends.torch.registry import ImportRules

_COMPOSITE = torch._C.DispatchKey.CompositeImplicitAutograd
_NUMBERS = (torch.SymInt, torch.SymFloat, torch.SymBool)


class CannotRecordError(Exception):
    """A call does something that only a trace of the whole program follows."""


@dataclass(frozen=True)
class Origin:
    """What the nodes that stand for a call have in common.

    Attributes:
        target: op of the call.
        name: of the call; theirs begin with it.
        meta: its metadata, but for ``val``.
    """

    target: Any
    name: str
    meta: dict[str, Any]


@dataclass(frozen=True, eq=False)
class Body:
    """The body of a branch or a loop among the arguments of a call; ``graph`` has its operands as placeholders."""

    graph: Any


class CallRecorder(TorchDispatchMode):
    """Records the ops that run inside of its ``with`` as nodes of a graph.

    Args:
        graph: gets the nodes, at its end.
        table: the decompositions by overload; those of composites apply to them too.
        rules: of the import, which tell what op needs no decomposition.
        origin: of the call that is decomposed.
        operands: tensors and numbers that the call takes, and their nodes in the graph.
        data_sizes: symbols of sizes that depend on data, and are known before the call.
        reads_sizes: let the call give tensors of more such sizes.
    """

    supports_higher_order_operators = True

    def __init__(
        self,
        graph: Any,
        table: Mapping[Any, Callable[..., Any]],
        rules: ImportRules,
        origin: Origin,
        operands: Sequence[tuple[Any, Any]],
        data_sizes: Set[Any],
        *,
        reads_sizes: bool = False,
    ) -> None:
        super().__init__()
        self._nodes: list[Any] = []
        self._graph = graph
        self._table = table
        self._rules = rules
        self._origin = origin
        self._data_sizes = data_sizes
        self._reads_sizes = reads_sizes
        # Tensors are kept alive beside their nodes, so that no id means two of them.
        self._known = {id(value): (value, node) for value, node in operands if isinstance(value, torch.Tensor)}
        self._operands = frozenset(self._known)
        self._views = Counter(_storage(tensor) for tensor, _ in self._known.values())
        self._numbers = [(value, node) for value, node in operands if isinstance(value, _NUMBERS)]

    def run(self, func: Any, args: Any, kwargs: Any) -> Any:
        """Run an op, and record what it consists of."""
        rule = self._table.get(func)
        with self:
            result = rule(*args, **kwargs) if rule is not None else NotImplemented
            # Torch knows rules of its own for some ops, by which it comes to others.
            return func(*args, **kwargs) if result is NotImplemented else result

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Decompose an op further, or record it."""
        kwargs = kwargs or {}
        if isinstance(func, torch._ops.HigherOrderOperator):
            return self._record_loop(func, args)
        if func.namespace == "prim":
            # It asks for a device or a layout.
            return func(*args, **kwargs)
        rule = self._table.get(func)
        if rule is not None:
            with self:
                result = rule(*args, **kwargs)
            if result is not NotImplemented:
                return result
        if func._schema.is_mutable:
            return self._record_change(func, args, kwargs)
        if self._rules.converter(str(func)) is None and func.has_kernel_for_dispatch_key(_COMPOSITE):
            with self:
                return func.decompose(*args, **kwargs)
        return self._record(func, args, kwargs)

    def of(self, result: Any) -> Any:
        """Return a result of the call, nested lists included, with the nodes in place of tensors."""
        return torch.fx.node.map_aggregate(result, self._node)

    def drop_unused(self, results: Any) -> None:
        """Take out the nodes that no result needs, where ``results`` is what ``of`` returned."""
        needed = {leaf for leaf in pytree.tree_leaves(results) if isinstance(leaf, torch.fx.Node)}
        for node in reversed(self._nodes):
            if not node.users and node not in needed and not _is_effect(node.target):
                self._graph.erase_node(node)

    def _record(self, func: Any, args: Any, kwargs: Any) -> Any:
        result = func(*args, **kwargs)
        if read := free_unbacked_symbols(result) - self._data_sizes:
            if not self._reads_sizes or isinstance(result, torch.SymInt | torch.SymFloat | torch.SymBool):
                raise CannotRecordError(f"'{func}' reads data")
            self._data_sizes |= read
        if isinstance(result, torch.Tensor):
            self._keep(result, self._new(func, args, kwargs, result))
        elif _is_effect(func):
            self._new(func, args, kwargs, None)
        else:
            self._keep_items(result, func, args, kwargs)
        return result

    def _keep_items(self, result: Any, func: Any, args: Any, kwargs: Any) -> None:
        """Record an op with several results; one that gives no tensor is not worth a node."""
        items = result if isinstance(result, tuple | list) else ()
        if any(isinstance(item, torch.Tensor) for item in items):
            node = self._new(func, args, kwargs, result)
            for number, item in enumerate(items):
                if isinstance(item, torch.Tensor):
                    self._keep(item, self._new(operator.getitem, (node, number), {}, item))

    def _record_loop(self, func: Any, args: Any) -> Any:
        """Record a loop of a composition, whose bodies are functions of tensors."""
        if func is torch.ops.higher_order.scan:
            step, carried, scanned, rest = args
            given = [*carried, *(value.select(0, 0) for value in scanned), *rest]
            bodies = [self._body(step, given)]
        elif func is torch.ops.higher_order.while_loop:
            *functions, carried, rest = args
            bodies = [self._body(function, [*carried, *rest]) for function in functions]
        else:
            raise CannotRecordError(f"'{func}' has bodies of its own")
        result = func(*args)
        self._keep_items(result, func, (*bodies, *args[len(bodies) :]), {})
        return result

    def _body(self, function: Callable[..., Any], operands: Sequence[torch.Tensor]) -> Body:
        graph = torch.fx.Graph()
        tensors = [torch.empty_like(operand) for operand in operands]
        places = [graph.placeholder(f"operand_{number}") for number in range(len(tensors))]
        for place, tensor in zip(places, tensors, strict=True):
            place.meta = {**self._origin.meta, "val": tensor}
        pairs = list(zip(tensors, places, strict=True))
        recorder = CallRecorder(graph, self._table, self._rules, self._origin, pairs, self._data_sizes)
        with recorder:
            results = recorder.of(function(*tensors))
        recorder.drop_unused(results)
        graph.output(results)
        return Body(graph)

    def _record_change(self, func: Any, args: Any, kwargs: Any) -> Any:
        """Record the op that returns a new tensor, or its parts, for one that changes a tensor without other views."""
        overload = functional_overload(func)
        # A change of the shape alone is seen by no other view.
        is_alone = torch.Tag.inplace_view in func.tags or self._views[_storage(args[0])] == 1
        if overload is None or id(args[0]) in self._operands or not is_alone:
            raise CannotRecordError(f"'{func}' changes a tensor in place")
        changed = args[0]
        result = self.__torch_dispatch__(overload, (), args, kwargs)
        made = self._node(result)
        # The change may be one of the shape, and that is what the node from before has as its value.
        self._node(changed).meta["val"] = changed.detach()
        func(*args, **kwargs)
        if result.dtype != changed.dtype or result.dim() != changed.dim():
            raise CannotRecordError(f"'{func}' gives another type than the op that changes nothing")
        self._known[id(changed)] = (changed, made)
        return changed

    def _new(self, target: Any, args: Any, kwargs: Any, value: Any) -> Any:
        name = self._origin.name
        if target is not self._origin.target:
            name += f"_{getattr(target, '__name__', str(target)).partition('.')[0]}"
        node = new_call(self._graph, target, self.of(args), self.of(kwargs), name)
        node.meta = {**self._origin.meta, "val": value}
        self._nodes.append(node)
        return node

    def _keep(self, tensor: torch.Tensor, node: Any) -> None:
        if id(tensor) not in self._known:
            self._views[_storage(tensor)] += 1
        self._known[id(tensor)] = (tensor, node)

    def _node(self, value: Any) -> Any:
        if isinstance(value, _NUMBERS):
            return self._number(value)
        if not isinstance(value, torch.Tensor):
            return value
        if id(value) not in self._known:
            raise CannotRecordError("a decomposition makes a constant")
        return self._known[id(value)][1]

    def _number(self, value: Any) -> Any:
        """Return the node of a number that the call takes; a size that is computed of them stands for itself."""
        expr = value.node.expr
        for known, node in self._numbers:
            if type(known) is type(value) and known.node.expr == expr:
                return node
        if not isinstance(value, torch.SymInt):
            raise CannotRecordError("a number is computed from sizes")
        for known, node in self._numbers:
            if known.node.expr in expr.free_symbols:
                serve_as_size(node)
        return value


def _is_effect(target: Any) -> bool:
    """Return whether an op has no results, so that it is there for something else, such as a check."""
    return isinstance(target, torch._ops.OpOverload) and not target._schema.returns


def _storage(tensor: torch.Tensor) -> int:
    if tensor.layout is not torch.strided:
        raise CannotRecordError(f"a tensor has layout {tensor.layout}")
    place: int = tensor.untyped_storage()._cdata
    return place
