"""In which order torch lays out the dimensions of a result: channels-last, transposed and the like."""

from typing import Any

from stepwell.frontends.torch.sizes import SizeTable
from stepwell.support.errors import ImportProgramError
from stepwell.support.symbolic import Expr

_ONE = Expr.const(1)


def physical_order(value: Any, sizes: SizeTable) -> tuple[int, ...]:
    """Return the dimensions of a (fake) tensor from the outermost in memory to the innermost.

    The empty tuple stands for row-major order, and for tensors with gaps or with elements that share memory: what a
    program returns is dense.
    """
    try:
        shape = tuple(map(sizes.expr, value.shape))
        strides = tuple(map(sizes.expr, value.stride()))
    except (ImportProgramError, RuntimeError):
        # A stride of no form that we know, or a layout without strides.
        return ()
    rank = len(shape)
    if _is_dense(shape, strides, range(rank), sizes):
        return ()
    examples = [stride.evaluate(sizes.examples) for stride in strides]
    order = sorted(range(rank), key=lambda dim: -examples[dim])
    return tuple(order) if _is_dense(shape, strides, order, sizes) else ()


def _is_dense(shape: tuple[Expr, ...], strides: tuple[Expr, ...], order: Any, sizes: SizeTable) -> bool:
    """Tell whether elements lie without gaps in an order of dimensions; where a size is 1 the stride means nothing."""
    step = _ONE
    for dim in reversed(order):
        if shape[dim] == _ONE:
            continue
        if strides[dim] != step and not _equal(strides[dim], step, sizes):
            return False
        step = step * shape[dim]
    return True


def _equal(stride: Expr, step: Expr, sizes: SizeTable) -> bool:
    """Compare sizes that are spelled differently; torch has strides of empty tensors count their sizes as 1."""
    return all(
        stride.evaluate(point) == step.evaluate(point) for point in sizes.sample_points() if step.evaluate(point)
    )
