"""Which tensors of a host function share memory, and from which launch to which they are needed."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import prod
from typing import Any

from stepwell.dialects.graph.types import ONE, meta_of
from stepwell.dialects.plan import ControlOperation, LaunchOp, LoopOp, ReadSizeOp, ViewOp
from stepwell.passes.transforms.planning.packing import Tenant
from stepwell.support.bindings import ir
from stepwell.support.symbolic import Expr

ZERO = Expr.const(0)


@dataclass
class Buffer:
    """The memory behind one launch result and all its views.

    Attributes:
        value: the launch result.
        start: number of its launch.
        end: number of the last launch that reads it.
        result: which result of the function it is written to directly, or None.
        arena: number of the arena it lives in where it is no result: that of the last read its size depends on.
    """

    value: Any
    start: int
    end: int
    result: int | None = None
    arena: int = 0

    @property
    def size(self) -> Expr:
        """Bytes."""
        return _bytes(self.value)

    @property
    def tenant(self) -> Tenant:
        """What the packing needs to know."""
        return Tenant(self.size, self.start, self.end)


@dataclass
class Scratch:
    """Memory that a step of the host needs while it runs, beside what it gives.

    Attributes:
        size: bytes.
        number: of the step.
        arena: number of the arena it lives in.
    """

    size: Expr
    number: int
    arena: int

    @property
    def tenant(self) -> Tenant:
        """What the packing needs to know."""
        return Tenant(self.size, self.number, self.number)


@dataclass
class Lifetimes:
    """All buffers of a function.

    Attributes:
        launches: its launches, and the steps that run other functions, in order.
        reads: the host's reads of sizes in order; read ``k``, counted from 1, opens arena ``k``.
        buffers: by launch result, in order.
        scratch: by number of the launch, for steps that run other functions.
        roots: tensor -> (what it is a view of, offset in elements).
    """

    launches: list[Any] = field(default_factory=list)
    reads: list[Any] = field(default_factory=list)
    buffers: dict[Any, Buffer] = field(default_factory=dict)
    scratch: dict[int, list[Scratch]] = field(default_factory=dict)
    roots: dict[Any, tuple[Any, Expr]] = field(default_factory=dict)


def root_of(value: Any) -> tuple[Any, Expr]:
    """Return what ``value`` is a view of, and at which offset in elements."""
    offset = ZERO
    while not isinstance(value.owner, ir.Block) and isinstance(value.owner.opview, ViewOp):
        view = value.owner.opview
        if view.offset is not None:
            offset = offset + Expr.parse(view.offset.value)
        value = view.source
    return value, offset


def lifetimes_of(function: Any, arenas_of: Mapping[str, Expr]) -> Lifetimes:
    """Analyse a function of plan ops; ``arenas_of`` are the bytes that the functions need that it runs."""
    found = Lifetimes()
    *body, terminator = list(function.regions[0].blocks[0].operations)
    arenas: dict[str, int] = {}
    for op in body:
        if isinstance(op, ReadSizeOp):
            found.reads.append(op)
            arenas[op.label.value] = len(found.reads)
            root, _ = root_of(op.count)
            if root in found.buffers:
                # The next launch writes after the read.
                found.buffers[root].end = len(found.launches) - 1
            continue
        if not isinstance(op, LaunchOp | ControlOperation):
            continue
        number = len(found.launches)
        found.launches.append(op)
        for value in [value for value in op.operands if isinstance(value.type, ir.RankedTensorType)]:
            root, _ = root_of(value)
            if root in found.buffers:
                found.buffers[root].end = number
        for value in op.outputs:
            made = found.buffers[value] = Buffer(value, number, number)
            made.arena = _arena(made.size, arenas)
        if isinstance(op, ControlOperation):
            sizes = scratch_sizes(op, arenas_of)
            found.scratch[number] = [Scratch(size, number, _arena(size, arenas)) for size in sizes]
    last = len(found.launches)
    for number, value in enumerate(terminator.operands):
        root, offset = root_of(value)
        buffer = found.buffers.get(root)
        if buffer is None:
            continue
        whole = prod(meta_of(value).shape, start=ONE) == prod(meta_of(root).shape, start=ONE)
        if buffer.result is None and whole and offset == ZERO:
            buffer.result = number
        elif buffer.result is None:
            # Copied out after the last launch.
            buffer.end = last
    return found


def _arena(size: Expr, arenas: Mapping[str, int]) -> int:
    """Return the number of the arena that something of this size can live in: of the last read it depends on."""
    return max((arenas.get(name, 0) for name in size.symbols), default=0)


def scratch_sizes(step: Any, arenas_of: Mapping[str, Expr]) -> list[Expr]:
    """Return what a step that runs functions needs: an arena for them; a loop also a predicate and a second state."""
    sizes = [Expr.max(ZERO, *(arenas_of[name] for name in step.functions))]
    if isinstance(step, LoopOp):
        sizes.append(ONE if step.condition is not None else ZERO)
        sizes += [_bytes(value) for value in step.outputs[: step.carried.value]]
    return sizes


def _bytes(value: Any) -> Expr:
    meta = meta_of(value)
    return prod(meta.shape, start=ONE) * meta.dtype.itemsize
