"""A linalg-stage function as a graph of nodes, with the facts that the rules of fusion ask for."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from math import prod
from typing import Any

from stepwell.passes.schedules.abi import bytes_of
from stepwell.passes.schedules.kernel import Kernel, Refusal
from stepwell.passes.transforms.fusion.nodes import OTHER, UNIT, Access, Kind, LoopTable, Node, make_node
from stepwell.support.bindings import ir
from stepwell.support.symbolic import Expr

ONE = Expr.const(1)
# Stands for a size that is not known when sizes are compared.
TYPICAL_SIZE = 64

CONSTANT_KINDS = ("parameter", "buffer", "constant")
MUTATED = "stepwell.mutated"
CONSTANT = "stepwell.constant"
"""On an argument of a function that a step of the host runs: it is the same at every call of the program."""


@dataclass(frozen=True)
class Use:
    """A node reads a result of another, perhaps through inlined ones."""

    producer: Node
    access: Access
    captured: bool


class Flow:
    """Nodes of a function in order, who produces and who uses what.

    Attributes:
        nodes: one per top-level op except the terminator.
        node: the same by op.
        needed: nodes whose results must lie in memory whatever fusion does: returned, or viewed by a reshape.
        inlined: nodes that every user computes for itself; rules fill this.
        reads: the node that reads each size which the host reads, by its symbol.
    """

    def __init__(self, function: Any) -> None:
        self.kernel = Kernel.of(function)
        *body, self.terminator = [op.operation for op in function.regions[0].blocks[0].operations]
        loops = LoopTable()
        self.nodes = [make_node(number, op, loops) for number, op in enumerate(body)]
        self.producer: dict[Any, Node] = {}
        self.node = {node.op: node for node in self.nodes}
        self.needed: set[Node] = set()
        self.inlined: set[Node] = set()
        self.reads: dict[str, Node] = {}
        self._constant: dict[Node, bool] = {}
        self._resolved: dict[Node, tuple[Use, ...]] = {}
        for node in self.nodes:
            self._add(node)
        for value in self.terminator.operands:
            if value in self.producer:
                self._need(self.producer[value])

    def _add(self, node: Node) -> None:
        for result in node.op.results:
            self.producer[result] = node
        if node.kind is Kind.HOST:
            if "label" in node.op.attributes:
                self.reads[node.op.attributes["label"].value] = node
            for source in (self.producer.get(read.value) for read in node.reads):
                if source is not None:
                    self._need(source)
        if node.kind is Kind.RESHAPE:
            source = self.producer.get(node.reads[0].value)
            if source is not None:
                self._need(source)
                source.users.append(node)
            return
        kept = []
        for read in node.reads:
            source = self.producer.get(read.value)
            if source is None:
                kept.append(read)
            elif source.kind is not Kind.FREE:
                kept.append(read)
                if node not in source.users[-1:]:
                    source.users.append(node)
        node.reads = tuple(kept)

    def _need(self, node: Node) -> None:
        if node.kind is not Kind.RESHAPE:
            self.needed.add(node)

    # -- sizes -------------------------------------------------------------------------------------------------------

    def shape(self, value: Any) -> tuple[Expr, ...]:
        """Return the shape of a tensor; raises Refusal where it is not known before the call."""
        return self.kernel.shape(value)

    def space(self, node: Node) -> tuple[Expr, ...]:
        """Return the shape that a node's own dimensions range over; raises Refusal."""
        if not node.reduced:
            return self.shape(node.op.results[0])
        sizes: list[Expr | None] = [None] * node.rank
        for read in node.reads:
            for entry, size in zip(read.access or (), self.shape(read.value), strict=False):
                if entry >= 0 and sizes[entry] is None:
                    sizes[entry] = size
        for dim, size in zip(node.result_dims, self.shape(node.op.results[0]), strict=True):
            sizes[dim] = size
        if None in sizes:
            raise Refusal("no operand tells the extent of a loop")
        return tuple(size for size in sizes if size is not None)

    def elements(self, value: Any) -> int:
        """Return about how many elements a tensor has."""
        try:
            shape = self.shape(value)
        except Refusal:
            return TYPICAL_SIZE * TYPICAL_SIZE
        return prod(size.constant if size.is_constant else TYPICAL_SIZE for size in shape)

    def bytes(self, value: Any) -> int:
        """Return about how many bytes a tensor has."""
        return self.elements(value) * bytes_of(value.type.element_type)

    def awaited(self, node: Node) -> set[Node]:
        """Return the steps of the host that give sizes which a node uses, inlined nodes that it reads included."""
        if not self.reads:
            return set()
        names: set[str] = set()
        for value in (*node.op.operands, *node.captured, *node.op.results):
            names.update(*(size.symbols for size in self._known_sizes(value)))
        found = {self.reads[name] for name in names & self.reads.keys()} - {node}
        for read in node.reads:
            source = self.producer.get(read.value)
            if source is not None and source in self.inlined:
                found |= self.awaited(source)
        return found

    def _known_sizes(self, value: Any) -> tuple[Expr, ...]:
        try:
            if _is_tensor(value):
                return self.shape(value)
            return (self.kernel.expr(value),) if isinstance(value.type, ir.IndexType) else ()
        except Refusal:
            return ()

    # -- constants ---------------------------------------------------------------------------------------------------

    @cached_property
    def constant_arguments(self) -> frozenset[Any]:
        """Arguments that are the same at every call."""
        attributes = self.kernel.function.attributes
        listed = list(attributes["arg_attrs"]) if "arg_attrs" in attributes else [{}] * len(self.kernel.tensors)
        block = self.kernel.function.regions[0].blocks[0]
        return frozenset(
            argument
            for argument, attrs in zip(block.arguments, listed, strict=True)
            if CONSTANT in attrs
            or ("stepwell.kind" in attrs and attrs["stepwell.kind"].value in CONSTANT_KINDS and MUTATED not in attrs)
        )

    def is_constant_value(self, value: Any) -> bool:
        """Tell whether a tensor is the same at every call."""
        node = self.producer.get(value)
        return value in self.constant_arguments if node is None else self.is_constant(node)

    def is_constant(self, node: Node) -> bool:
        """Tell whether a node computes the same at every call."""
        known = self._constant.get(node)
        if known is None:
            # Reads come earlier in the function, so that this does not recurse far when asked in order.
            known = (
                node.kind is not Kind.HOST
                and (node.kind is Kind.FREE or all(self.is_constant_value(read.value) for read in node.reads))
                and all(result.type.has_static_shape for result in node.op.results if _is_tensor(result))
                and not any(self._depends_on_sizes(value) for value in self.scalars(node))
            )
            self._constant[node] = known
        return known

    def _depends_on_sizes(self, value: Any) -> bool:
        try:
            return not self.kernel.expr(value).is_constant
        except Refusal:
            return True

    @staticmethod
    def scalars(node: Node) -> list[Any]:
        """Return the index values that a node uses, in its regions too."""
        return [value for value in (*node.op.operands, *node.captured) if isinstance(value.type, ir.IndexType)]

    # -- edges -------------------------------------------------------------------------------------------------------

    def uses(self, node: Node) -> tuple[Use, ...]:
        """Return what a node reads from nodes that are not inlined, with accesses in its own dimensions."""
        if node not in self._resolved or node not in self.inlined:
            self._resolved[node] = tuple(self._resolve(node))
        return self._resolved[node]

    def _resolve(self, node: Node) -> Iterator[Use]:
        for read in node.reads:
            source = self.producer.get(read.value)
            if source is None or source.kind is Kind.RESHAPE:
                continue
            if source not in self.inlined:
                yield Use(source, read.access, read.captured)
                continue
            for use in self.uses(source):
                yield Use(use.producer, compose(use.access, read.access), use.captured)

    def readers(self, value: Any) -> Iterator[Node | None]:
        """Yield the nodes that read a tensor, those of inlined nodes for these; None for the function's return."""
        for use in value.uses:
            owner = use.owner.operation
            while owner.parent != self.kernel.function:
                owner = owner.parent
            reader = self.node.get(owner)
            if reader is not None and reader in self.inlined:
                for result in owner.results:
                    yield from self.readers(result)
            else:
                yield reader

    def inputs(self, node: Node) -> Iterator[Any]:
        """Yield the tensors that a node reads from memory or from other nodes, inlined ones resolved."""
        for read in node.reads:
            source = self.producer.get(read.value)
            if source is not None and source in self.inlined:
                yield from self.inputs(source)
            else:
                yield read.value


def _is_tensor(value: Any) -> bool:
    return isinstance(value.type, ir.RankedTensorType)


def compose(inner: Access, outer: Access) -> Access:
    """Return the access of a reader (``outer`` of an inlined node) to what that node reads by ``inner``."""
    if inner is None or outer is None:
        return None
    return tuple(outer[entry] if entry >= 0 else entry for entry in inner)


def squeezed(shape: tuple[Expr, ...]) -> tuple[int, ...]:
    """Return the dimensions whose size is not 1."""
    return tuple(dim for dim, size in enumerate(shape) if size != ONE)


def positions(access: Access, source: tuple[Expr, ...]) -> tuple[int, ...] | None:
    """Return which own dimensions run over the non-unit dimensions of ``source``; None where that is not so simple."""
    if access is None:
        return None
    picked = tuple(access[dim] for dim in squeezed(source))
    return None if any(entry in (UNIT, OTHER) for entry in picked) or len(set(picked)) != len(picked) else picked
