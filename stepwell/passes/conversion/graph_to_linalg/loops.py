"""Loops on tensors, for ops that no structured op can say: one element after the other, in order."""

from collections.abc import Callable, Sequence
from typing import Any

from stepwell.dialects.graph.types import Shape
from stepwell.passes.conversion.graph_to_linalg.lowering import Builder
from stepwell.passes.conversion.graph_to_linalg.rearrange import index_constant
from stepwell.support.bindings import ir, scf

# Gets the loop variables and the carried values, returns the carried values of the next step.
Step = Callable[[list[Any], list[Any]], Sequence[Any]]


def loop(lower: Any, upper: Any, stride: Any, carried: Sequence[Any], step: Callable[..., Sequence[Any]]) -> list[Any]:
    """Build one ``scf.for`` from ``lower`` to ``upper``; ``step(variable, carried)`` gives the next carried values."""
    op = scf.ForOp(lower, upper, stride, list(carried))
    with ir.InsertionPoint(op.body):
        scf.yield_(list(step(op.induction_variable, list(op.inner_iter_args))))
    return list(op.results)


def loop_while(
    carried: Sequence[Any], condition: Callable[[list[Any]], Any], step: Callable[[list[Any]], Sequence[Any]]
) -> list[Any]:
    """Build ``scf.while``: ``step`` gives the next carried values as long as ``condition`` holds for them."""
    kinds = [value.type for value in carried]
    op = scf.WhileOp(kinds, list(carried))
    places = [ir.Location.unknown()] * len(kinds)
    before = op.before.blocks.append(*kinds, arg_locs=places)
    with ir.InsertionPoint(before):
        scf.condition(condition(list(before.arguments)), list(before.arguments))
    after = op.after.blocks.append(*kinds, arg_locs=places)
    with ir.InsertionPoint(after):
        scf.yield_(list(step(list(after.arguments))))
    return list(op.results)


def loop_nest(build: Builder, shape: Shape, carried: Sequence[Any], step: Step) -> list[Any]:
    """Build nested loops over all positions of ``shape``, in row-major order; at least one loop."""
    zero, one = index_constant(0), index_constant(1)
    sizes = [build.size(size) for size in shape] or [one]

    def nest(position: list[Any], values: list[Any]) -> Sequence[Any]:
        if len(position) == len(sizes):
            return step(position[: len(shape)], values)
        return loop(zero, sizes[len(position)], one, values, lambda index, inner: nest([*position, index], inner))

    return list(nest([], list(carried)))
