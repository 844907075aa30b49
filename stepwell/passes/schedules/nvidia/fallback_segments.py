"""Cut the top level of a function on buffers into launches: nests that run in parallel, and what lies between them."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from stepwell.passes.conversion.captured_values import captured_values, is_pure
from stepwell.passes.schedules.nvidia.fallback_nests import LoopNest, read_nest, root, written_roots
from stepwell.support.bindings import ir
from stepwell.support.symbolic import Expr


@dataclass
class Segment:
    """Ops that one launch runs.

    Attributes:
        ops: the ops, in order.
        nest: the loops of the only op, where they run in parallel; None for one thread.
        copied: ops that compute or load scalars for it, cloned before the others.
    """

    ops: list[Any]
    nest: LoopNest | None = None
    copied: list[Any] = field(default_factory=list)


def cut(function: Any, size_of: Callable[[Any], Expr]) -> list[Segment]:
    """Return the launches of ``function``, whose top level they cover but for ops that stay outside.

    What computes scalars from arguments alone stays outside.  Scalars loaded from memory that nobody writes are loaded
    again where they are used; other scalars tie their makers and users together in one thread.
    """
    return _Cutter(function, size_of).cut()


class _Cutter:
    def __init__(self, function: Any, size_of: Callable[[Any], Expr]) -> None:
        self.function, self.size_of = function, size_of
        self.written = set(written_roots(function))
        self.device: set[Any] = set()
        self.cloneable: set[Any] = set()
        self.segments: list[Segment] = []

    def cut(self) -> list[Segment]:
        """Go through the ops in order."""
        for child in list(self.function.regions[0].blocks[0].operations)[:-1]:
            op = child.operation
            if self._stays_outside(op):
                continue
            self.device.update(op.results)
            if self._can_be_repeated(op):
                self.cloneable.update(op.results)
            else:
                self._add(op)
        return self.segments

    def _stays_outside(self, op: Any) -> bool:
        pure = is_pure(op) or op.name == "memref.alloc"
        return pure and self.device.isdisjoint(op.operands)

    def _can_be_repeated(self, op: Any) -> bool:
        if not all(value in self.cloneable for value in op.operands if value in self.device):
            return False
        return is_pure(op) or (op.name == "memref.load" and root(op.operands[0]) not in self.written)

    def _add(self, op: Any) -> None:
        needed = [value for value in captured_values(op) if value in self.device]
        copied = self._repeated(needed)
        made_before = [value for value in self._inputs_of(op, copied) if value not in self.cloneable]
        nest = None if made_before else read_nest(op, self.size_of)
        if nest is not None:
            self.segments.append(Segment([op], nest, copied))
            return
        first = min((self._segment_of(value) for value in made_before), default=len(self.segments))
        joined = self.segments[first:]
        if not joined and self.segments and self.segments[-1].nest is None:
            joined = self.segments[-1:]
        serial = Segment([o for segment in joined for o in segment.ops] + [op])
        for other in [c for segment in joined for c in segment.copied] + copied:
            if other not in serial.copied:
                serial.copied.append(other)
        self.segments[len(self.segments) - len(joined) :] = [serial]

    def _inputs_of(self, op: Any, copied: list[Any]) -> list[Any]:
        return [value for value in captured_values(op) if value in self.device and _maker(value) not in copied]

    def _repeated(self, values: list[Any]) -> list[Any]:
        """Return the ops, operands before users, that are cloned to have ``values``."""
        ordered: list[Any] = []

        def visit(value: Any) -> None:
            maker = _maker(value)
            if value not in self.cloneable or maker in ordered:
                return
            for operand in maker.operands:
                visit(operand)
            ordered.append(maker)

        for value in values:
            visit(value)
        return ordered

    def _segment_of(self, value: Any) -> int:
        maker = _maker(value)
        return next(number for number, segment in enumerate(self.segments) if maker in segment.ops)


def _maker(value: Any) -> Any:
    return None if isinstance(value.owner, ir.Block) else value.owner.operation
