"""Results of a kernel that need no reduction, in groups that one loop nest computes together."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from stepwell.passes.schedules.abi import Buffer
from stepwell.passes.schedules.analysis import Walk
from stepwell.passes.schedules.elements import Elements
from stepwell.passes.schedules.indexing import ONE, ZERO, Ranges, linearise
from stepwell.passes.schedules.kernel import Kernel, strip_reshapes
from stepwell.passes.schedules.memory import store
from stepwell.passes.schedules.nest import Nest
from stepwell.support.symbolic import Expr


@dataclass(frozen=True)
class ResultNest:
    """Results of one shape.

    Attributes:
        roots: (result number, tensor of the nest's shape that it is a reshape of).
        nest: their loops, merged.
    """

    roots: tuple[tuple[int, Any], ...]
    nest: Nest

    def read(self, elements: Elements, indices: tuple[Expr, ...]) -> list[Any]:
        """Return what the results hold at ``indices``, in the order of the roots."""
        return [elements.read(value, indices) for _, value in self.roots]

    def store(self, elements: Elements, indices: tuple[Expr, ...], values: Sequence[Any]) -> None:
        """Write what ``read`` gave."""
        for (number, value), element in zip(self.roots, values, strict=True):
            buffer = elements.open.outputs[number]
            flat = Buffer(buffer.memref, buffer.element, elements.kernel.shape(value), constant=False)
            store(elements.code, flat, flat.position(indices), element)


def result_nests(kernel: Kernel, numbers: Sequence[int]) -> list[ResultNest]:
    """Return the nests of the results ``numbers``, none of which depends on a reduction; one nest per shape."""
    shapes: dict[tuple[Expr, ...], list[tuple[int, Any]]] = {}
    for number in numbers:
        value = strip_reshapes(kernel.results[number])
        shapes.setdefault(kernel.shape(value), []).append((number, value))
    return [_result_nest(kernel, shape, roots) for shape, roots in shapes.items()]


def _result_nest(kernel: Kernel, shape: tuple[Expr, ...], roots: list[tuple[int, Any]]) -> ResultNest:
    ranges = Ranges()
    variables, extents, indices = [], [], []
    for number, extent in enumerate(shape):
        if extent == ONE:
            indices.append(ZERO)
            continue
        name = f"%d{number}_"
        ranges.limit(name, ZERO, extent)
        variables.append(name)
        extents.append(extent)
        indices.append(Expr.symbol(name))
    walk = Walk(kernel, ranges)
    for number, value in roots:
        walk.read(value, tuple(indices))
        walk.uses.accesses[("result", number), linearise(tuple(indices), shape)] = None
    nest = Nest(None, -1, None, tuple(indices), tuple(variables), tuple(extents), walk.uses)
    return ResultNest(tuple(roots), nest.merged())
