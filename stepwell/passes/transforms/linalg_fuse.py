"""Decide which ops share a kernel.

Takes and gives stage ``linalg``.  Nothing is rewritten: ops get attributes that ``form-kernels`` reads.

    stepwell.kernel = 3    the op belongs to kernel 3, which writes its result if anybody outside reads it
    stepwell.inline        each kernel that uses the op computes it for itself

Ops without either are constants, empty tensors and sizes, which every kernel has copies of, and reshapes, which become
views of what a kernel wrote.

In order: with ``attention``, attentions become kernels; contractions and poolings take what follows them element by
element; ops that are cheaper to compute than to read are inlined; then pointwise ops and reductions over the same rows
merge, from the first op to the last.
"""

from dataclasses import dataclass
from typing import Any, ClassVar

from stepwell.passes.base import Pass, fail, option, register_pass
from stepwell.passes.schedules.kernel import Refusal
from stepwell.passes.transforms.fusion.attention import attentions
from stepwell.passes.transforms.fusion.clusters import Clusters, Group
from stepwell.passes.transforms.fusion.epilogues import epilogue
from stepwell.passes.transforms.fusion.flow import Flow, Use
from stepwell.passes.transforms.fusion.inlining import mark_inlined
from stepwell.passes.transforms.fusion.nodes import Kind, Node
from stepwell.passes.transforms.fusion.rules import Facts, facts_of, join
from stepwell.support.bindings import ir
from stepwell.support.stages import Stage

KERNEL = "stepwell.kernel"
INLINE = "stepwell.inline"


@register_pass
@dataclass(frozen=True)
class LinalgFusePass(Pass):
    """Assign every op of every function to a kernel."""

    name: ClassVar[str] = "linalg-fuse"
    summary: ClassVar[str] = "decide which ops share a kernel"
    stage: ClassVar[Stage | None] = Stage.LINALG
    gives: ClassVar[Stage | None] = Stage.LINALG
    anchor: ClassVar[str] = "func.func"

    attention: bool = option(False, help="make one kernel of each attention, for machines whose schedules take it")

    def apply(self, op: "ir.Operation") -> None:
        """Mark the ops of one function."""
        if op.regions[0].blocks:
            try:
                flow = Flow(op)
            except Refusal as refusal:
                fail(op, str(refusal))
            _mark(flow, group_nodes(flow, attention=self.attention))


def group_nodes(flow: Flow, *, attention: bool = False) -> list[list[Node]]:
    """Return the nodes of each kernel, kernels in an order in which they can run."""
    whole = attentions(flow) if attention else {}
    epilogues = _epilogues(flow, whole)
    taken = {node for root, nodes in epilogues.items() for node in (root, *nodes)}
    mark_inlined(flow, taken)
    clusters = Clusters()
    facts: dict[Group, Facts] = {}
    for node in flow.nodes:
        if node.kind is Kind.FREE or node in flow.inlined:
            if node in flow.needed:
                clusters.add(node, [*flow.awaited(node)])
            continue
        sources = [use.producer for use in flow.uses(node)] + [*flow.awaited(node)]
        sources += [views for read in node.reads for views in _views(flow, read.value)]
        group = clusters.add(node, sources)
        facts[group] = Facts(closed=True) if node.kind is Kind.HOST else facts_of(flow, node)
    for root, nodes in epilogues.items():
        for node in nodes:
            if not clusters.merge(clusters.group(root), clusters.group(node)):
                # Too far apart: what follows is a kernel of its own.
                break
            facts[clusters.group(root)] = Facts(closed=True)
    for node in flow.nodes:
        if node not in flow.inlined and node.kind not in (Kind.FREE, Kind.RESHAPE, Kind.HOST):
            _merge_sources(flow, clusters, facts, node)
    own = (Kind.RESHAPE, Kind.HOST)
    groups = [[n for n in group.nodes if n.kind not in own] for group in clusters.ordered()]
    return [sorted(nodes, key=lambda n: n.number) for nodes in groups if nodes]


def _views(flow: Flow, value: Any) -> list[Node]:
    node = flow.producer.get(value)
    if node is None:
        return []
    if node.kind is Kind.RESHAPE:
        return [node]
    return [view for read in node.reads for view in _views(flow, read.value)] if node in flow.inlined else []


def _epilogues(flow: Flow, whole: dict[Node, list[Node]]) -> dict[Node, list[Node]]:
    """Return what joins each contraction and pooling in its kernel; those in ``whole`` start with what is given."""
    found: dict[Node, list[Node]] = {}
    taken = {node for nodes in whole.values() for node in nodes}
    inner = taken - whole.keys()
    for node in flow.nodes:
        if node.kind in (Kind.CONTRACTION, Kind.WINDOW) and node not in inner:
            taken.add(node)
            first, *rest = (*whole.get(node, [node]), *epilogue(flow, node, taken))
            found[first] = rest
            taken.update(rest)
    return found


def _merge_sources(flow: Flow, clusters: Clusters, facts: dict[Group, Facts], node: Node) -> None:
    """Merge the group of ``node`` with those it reads from, the latest first."""
    for use in sorted(flow.uses(node), key=lambda use: -use.producer.number):
        group, source = clusters.group(node), clusters.group(use.producer)
        if group is source:
            continue
        first, second = facts[source], facts[group]
        if first.closed or second.closed:
            continue
        joint = join(flow, first, second, list(_edges(flow, first, second)))
        if joint is not None and clusters.merge(source, group):
            facts[clusters.group(node)] = joint


def _edges(flow: Flow, first: Facts, second: Facts) -> "list[tuple[Node, Use]]":
    return [(reader, use) for reader in second.levels for use in flow.uses(reader) if use.producer in first.levels]


def _mark(flow: Flow, groups: list[list[Node]]) -> None:
    i64 = ir.IntegerType.get_signless(64, flow.kernel.function.context)
    for node in flow.nodes:
        for name in (KERNEL, INLINE):
            if name in node.op.attributes:
                del node.op.attributes[name]
    for number, nodes in enumerate(groups):
        for node in nodes:
            node.op.attributes[KERNEL] = ir.IntegerAttr.get(i64, number)
    for node in flow.inlined:
        node.op.attributes[INLINE] = ir.UnitAttr.get(flow.kernel.function.context)
