"""Kernels without reductions on a GPU: one launch per shape of result, neighbouring threads at neighbouring elements.

Vectors of 16 bytes are used where every access along the innermost loop is contiguous or shared; as that takes aligned
pointers too, the launch is then written twice, and the host picks one.
"""

from dataclasses import dataclass
from typing import Any, ClassVar

from stepwell.passes.schedules.abi import OpenKernel, bytes_of
from stepwell.passes.schedules.elements import Elements
from stepwell.passes.schedules.kernel import Kernel, Refusal, is_reduction, reachable
from stepwell.passes.schedules.nvidia.machine import occupancy, waves
from stepwell.passes.schedules.nvidia.pointwise_code import write_group
from stepwell.passes.schedules.nvidia.pointwise_tiles import Space, Tile, choose_space, choose_tile
from stepwell.passes.schedules.nvidia.transposition import (
    Transposition,
    find_transposition,
    write_transposition,
)
from stepwell.passes.schedules.nvidia.wide_access import Wide, widest
from stepwell.passes.schedules.result_nests import ResultNest, result_nests
from stepwell.passes.schedules.rule import Rule
from stepwell.support.target import Target


@dataclass(frozen=True)
class Group:
    """Results that one launch computes.

    Attributes:
        results: the results, with their loops.
        space: rows and columns of the loops.
        wide: the vectors along columns.
        tile: what a block covers.
        transposition: what goes through shared memory, in tiles of its own; None where nothing does.
    """

    results: ResultNest
    space: Space
    wide: Wide
    tile: Tile
    transposition: Transposition | None


@dataclass(frozen=True)
class PointwiseParameters:
    """The groups of results of a kernel, and why they are built as they are."""

    groups: tuple[Group, ...]
    reasons: tuple[str, ...]


class PointwiseRule(Rule):
    """Takes kernels without reductions and loop forms."""

    name: ClassVar[str] = "pointwise"

    def parameters(self, kernel: Kernel, target: Target) -> PointwiseParameters:
        """Group results by shape and choose vectors and tiles for each group."""
        if any(is_reduction(op) for op in kernel.ops):
            raise Refusal("the kernel holds a reduction")
        groups = choose_groups(kernel, target, range(len(kernel.results)))
        return PointwiseParameters(groups, tuple(describe(group, target) for group in groups))

    def build(self, kernel: Kernel, target: Target, parameters: PointwiseParameters) -> None:
        """Write one launch, or an aligned and an unaligned one, per group."""
        opened = OpenKernel.begin(kernel)
        try:
            write_groups(Elements(opened), parameters.groups)
        except BaseException:
            opened.abandon()
            raise
        opened.close(self.name, parameters.reasons)


def choose_groups(kernel: Kernel, target: Target, numbers: Any) -> tuple[Group, ...]:
    """Return the groups of the results ``numbers``, none of which depends on a reduction."""
    return tuple(_choose_group(kernel, target, results) for results in result_nests(kernel, list(numbers)))


def _choose_group(kernel: Kernel, target: Target, results: ResultNest) -> Group:
    nest = results.nest
    wide = widest(kernel, nest, reachable(value for _, value in results.roots))
    space = choose_space(nest, wide.lanes)
    if len(space.inner) > 1 and wide.multiples:
        wide = Wide(1, reason="rows are short, and no multiple of a vector that is known")
    buffers = [buffer for buffer, _ in nest.uses.accesses]
    sizes = [
        bytes_of((kernel.results[buffer[1]] if isinstance(buffer, tuple) else buffer).type.element_type)
        for buffer in buffers
    ]
    registers = sum(-(-size * wide.lanes // 4) for size in sizes)
    work = nest.uses.cost * wide.lanes + len(sizes)
    tile = choose_tile(target, space, wide.lanes, work, registers)
    return Group(results, space, wide, tile, find_transposition(nest))


def describe(group: Group, target: Target) -> str:
    """Return the reasons behind a group's parameters."""
    tile, space = group.tile, group.space
    numbers = [number for number, _ in group.results.roots]
    if group.transposition is not None:
        return f"results {numbers}: {group.transposition.describe(group.results.nest)}"
    down, beside = space.blocks(tile)
    blocks = down * beside
    access = f"vectors of {tile.lanes} ({group.wide.reason})" if tile.lanes > 1 else f"scalars ({group.wide.reason})"
    if blocks.is_constant:
        filled = waves(target, blocks.constant, occupancy(target, tile.threads).blocks)
        count = f"{blocks} blocks, {filled:.1f} waves"
    else:
        count = f"{blocks} blocks"
    return (
        f"results {numbers}: {space.rows} rows of {space.columns}; {access}; "
        f"{tile.across * tile.down} per thread; {tile.threads_down}x{tile.threads_across} threads; {count}"
    )


def write_groups(elements: Elements, groups: tuple[Group, ...]) -> None:
    """Write the launches of ``groups``, one after another."""
    for group in groups:
        if group.transposition is not None:
            write_transposition(elements, group.results, group.transposition)
        else:
            write_group(elements, group.results, group.space, group.wide, group.tile)
