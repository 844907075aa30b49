"""Turn a function into kernels and the host's program that launches them.

Takes stage ``linalg`` with the attributes of ``linalg-fuse`` and gives stage ``kernels``.  Each group of ops becomes a
module of one function, equal ones are one; ``main`` is left with plan ops.  What depends on parameters, buffers and
constants alone goes to ``prepare``, which runs once, and its results enter ``main`` by ``plan.prepared``.

Refuses a module that has other functions than ``main``, sizes that the host does not know, and groups that need
each other's results.  Without the attributes every op is a kernel of its own.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from heapq import heapify, heappop, heappush
from typing import Any, ClassVar

from stepwell.dialects.plan.ops import MAX_INPUTS, MAX_OUTPUTS
from stepwell.passes.base import Pass, fail, register_pass
from stepwell.passes.schedules.kernel import Refusal
from stepwell.passes.transforms.fusion.flow import Flow
from stepwell.passes.transforms.fusion.nodes import Kind, Node
from stepwell.passes.transforms.linalg_fuse import INLINE, KERNEL
from stepwell.passes.transforms.outlining.calls import called_functions, handed_constants
from stepwell.passes.transforms.outlining.host import Host
from stepwell.passes.transforms.outlining.kernels import NAME, Contents, build_kernel, contents_of
from stepwell.passes.transforms.outlining.prepare import Prepare
from stepwell.support.bindings import ir
from stepwell.support.stages import Stage
from stepwell.support.symbolic import Expr


@register_pass
@dataclass(frozen=True)
class FormKernelsPass(Pass):
    """Outline groups of ops to kernels."""

    name: ClassVar[str] = "form-kernels"
    summary: ClassVar[str] = "outline groups of ops to kernels, and leave the program that launches them"
    stage: ClassVar[Stage | None] = Stage.LINALG
    gives: ClassVar[Stage | None] = Stage.KERNELS

    def apply(self, op: "ir.Operation") -> None:
        """Replace the functions by those of the host, and append the kernels."""
        functions = [child.operation for child in op.regions[0].blocks[0].operations]
        if any(child.name == "builtin.module" for child in functions) or not functions:
            return
        called = called_functions(op)
        plans = [_plan_function(function) for function in called]
        _build(op, plans)
        for function in functions:
            function.erase()


@dataclass(frozen=True)
class _Plan:
    flow: Flow
    entries: "list[_Planned]"


def _plan_function(function: Any) -> _Plan:
    try:
        flow = Flow(function)
        return _Plan(flow, _plan(flow, _groups(flow)))
    except Refusal as refusal:
        fail(function, str(refusal))


@dataclass(frozen=True)
class _Planned:
    """A kernel, or a step of the host."""

    nodes: list[Node]
    contents: Contents
    constant: bool

    @property
    def is_host(self) -> bool:
        return self.nodes[0].kind is Kind.HOST


def _groups(flow: Flow) -> list[list[Node]]:
    """Return the nodes of each kernel by the attributes of the ops."""
    groups: dict[Any, list[Node]] = {}
    for node in flow.nodes:
        attributes = node.op.attributes
        if INLINE in attributes:
            flow.inlined.add(node)
        elif KERNEL in attributes:
            groups.setdefault(attributes[KERNEL].value, []).append(node)
        elif node.kind not in (Kind.FREE, Kind.RESHAPE) or node in flow.needed:
            groups[node] = [node]
    return list(groups.values())


def _plan(flow: Flow, groups: list[list[Node]]) -> list[_Planned]:
    """Decide the contents of every kernel and the order of launches; raises Refusal."""
    planned = [_planned(flow, nodes) for nodes in groups]
    for entry in planned:
        inputs, outputs = len(entry.contents.inputs), len(entry.contents.outputs)
        if not entry.is_host and (inputs > MAX_INPUTS or outputs > MAX_OUTPUTS):
            raise Refusal(f"a kernel of {len(entry.nodes)} ops has {inputs} inputs and {outputs} results")
    order = _ordered(flow, planned)
    return [entry for entry in order if entry.contents.outputs or entry.is_host]


def _planned(flow: Flow, nodes: list[Node]) -> _Planned:
    if nodes[0].kind is Kind.HOST:
        return _Planned(nodes, _step_contents(flow, nodes[0]), False)
    return _Planned(nodes, contents_of(flow, nodes), all(map(flow.is_constant, nodes)))


def _step_contents(flow: Flow, node: Node) -> Contents:
    """Return what a step of the host takes and gives, all of which lies in memory, and the sizes that it knows."""
    bounds = (getattr(node.op.opview, name, None) for name in ("minimum", "maximum"))
    sizes = [Expr.parse(bound.value) for bound in bounds if bound is not None]
    sizes += [flow.kernel.expr(value) for value in flow.scalars(node)]
    results = tuple(value for value in node.op.results if isinstance(value.type, ir.RankedTensorType))
    return Contents((), tuple(read.value for read in node.reads), tuple(sizes), results)


def _ordered(flow: Flow, planned: Sequence[_Planned]) -> list[_Planned]:
    """Return the kernels with each after those it reads from, otherwise as early as its last op stands."""
    owner = {node: number for number, entry in enumerate(planned) for node in entry.nodes}
    readers: list[list[int]] = [[] for _ in planned]
    missing = [0] * len(planned)
    for number, entry in enumerate(planned):
        for source in {owner[node] for node in _needed_nodes(flow, entry.contents)}:
            readers[source].append(number)
            missing[number] += 1
    ready = [(planned[number].nodes[-1].number, number) for number, count in enumerate(missing) if not count]
    heapify(ready)
    order = []
    while ready:
        _, number = heappop(ready)
        order.append(planned[number])
        for reader in readers[number]:
            missing[reader] -= 1
            if not missing[reader]:
                heappush(ready, (planned[reader].nodes[-1].number, reader))
    if len(order) < len(planned):
        raise Refusal("has groups of ops that need each other's results")
    return order


def _needed_nodes(flow: Flow, contents: Contents) -> Iterator[Node]:
    """Yield what must be done before a kernel: what writes its inputs, and the host's reading of its sizes."""
    for value in contents.inputs:
        yield from _source(flow, value)
    for size in contents.sizes:
        yield from (flow.reads[name] for name in size.symbols if name in flow.reads)


def _source(flow: Flow, value: Any) -> list[Node]:
    """Return the node whose kernel writes a tensor, through reshapes; nothing for an argument."""
    node = flow.producer.get(value)
    while node is not None and node.kind is Kind.RESHAPE:
        node = flow.producer.get(node.reads[0].value)
    return [] if node is None else [node]


def _build(module: Any, plans: Sequence[_Plan]) -> None:
    with module.context:
        prepare = Prepare([plan.flow for plan in plans], handed_constants([plan.flow for plan in plans]))
        known: dict[str, str] = {}
        main, *_ = [_build_function(module.regions[0].blocks[0], plan, prepare, known) for plan in plans]
        prepare.finish(main)


def _build_function(body: Any, plan: _Plan, prepare: Prepare, known: dict[str, str]) -> Any:
    flow = plan.flow
    host = Host(flow, prepare)
    _check_symbols(flow, host.bind_symbols())
    for entry in plan.entries:
        if entry.is_host:
            host.step(entry.nodes[0])
            continue
        location = _location(entry.nodes)
        contents = entry.contents
        constant = [] if entry.constant else [v for v in contents.inputs if flow.is_constant_value(v)]
        with ir.InsertionPoint(body):
            kernel = build_kernel(flow, contents, constant, location)
        name = _unique(kernel, known)
        if entry.constant:
            prepare.launch(name, contents.inputs, contents.outputs, location)
        else:
            host.launch(name, contents.inputs, contents.sizes, contents.outputs, location)
    host.finish(list(flow.terminator.operands), flow.terminator.location)
    return host.function


def _check_symbols(flow: Flow, bound: set[str]) -> None:
    for argument in flow.kernel.tensors:
        for size in flow.shape(argument):
            for name in sorted(size.symbols - bound):
                fail(flow.kernel.function, f"size '{name}' is no dimension of any argument")


def _unique(kernel: Any, known: dict[str, str]) -> str:
    """Name a new kernel, or erase it where an equal one exists; return the name."""
    # In local scope, or printing would number the values of the whole program each time.
    text = str(kernel.get_asm(use_local_scope=True, assume_verified=True))
    if text in known:
        kernel.erase()
        return known[text]
    name = known[text] = f"{NAME}{len(known)}"
    symbol = ir.StringAttr.get(name)
    kernel.attributes["sym_name"] = symbol
    kernel.regions[0].blocks[0].operations[0].operation.attributes["sym_name"] = symbol
    return name


def _location(nodes: Sequence[Node]) -> Any:
    locations = list(dict.fromkeys(node.op.location for node in nodes))
    known = [location for location in locations if location != ir.Location.unknown()]
    if not known:
        return ir.Location.unknown()
    return known[0] if len(known) == 1 else ir.Location.fused(known)
