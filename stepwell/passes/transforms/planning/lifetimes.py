"""Which tensors of a host function share memory, and from which launch to which they are needed."""

from dataclasses import dataclass, field
from math import prod
from typing import Any

from stepwell.dialects.graph.types import ONE, meta_of
from stepwell.dialects.plan import LaunchOp, ViewOp
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
    """

    value: Any
    start: int
    end: int
    result: int | None = None

    @property
    def size(self) -> Expr:
        """Bytes."""
        meta = meta_of(self.value)
        return prod(meta.shape, start=ONE) * meta.dtype.itemsize

    @property
    def tenant(self) -> Tenant:
        """What the packing needs to know."""
        return Tenant(self.size, self.start, self.end)


@dataclass
class Lifetimes:
    """All buffers of a function.

    Attributes:
        launches: its launches in order.
        buffers: by launch result, in order.
        roots: tensor -> (what it is a view of, offset in elements).
    """

    launches: list[Any] = field(default_factory=list)
    buffers: dict[Any, Buffer] = field(default_factory=dict)
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


def lifetimes_of(function: Any) -> Lifetimes:
    """Analyse a function of plan ops."""
    found = Lifetimes()
    *body, terminator = list(function.regions[0].blocks[0].operations)
    for op in body:
        if not isinstance(op, LaunchOp):
            continue
        number = len(found.launches)
        found.launches.append(op)
        for value in op.inputs:
            root, _ = root_of(value)
            if root in found.buffers:
                found.buffers[root].end = number
        for value in op.outputs:
            found.buffers[value] = Buffer(value, number, number)
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
