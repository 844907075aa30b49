"""Kernels with reductions on a GPU: softmax, normalisations, sums over rows, columns and whole tensors, pooling.

A row is a point of the space that all reductions of the kernel share as their parallel loops.  A team of threads works
on each: one thread for the windows of a pooling, a warp or less for short rows, a block for long ones, and several
blocks, which leave partial results to a further launch, where there are few.  Neighbouring threads lie within a row or
across rows, as the elements do in memory.
"""

from dataclasses import dataclass
from typing import ClassVar

from stepwell.passes.schedules.abi import OpenKernel
from stepwell.passes.schedules.elements import Elements
from stepwell.passes.schedules.kernel import Kernel
from stepwell.passes.schedules.nvidia.machine import occupancy
from stepwell.passes.schedules.nvidia.pointwise import Group, choose_groups, describe, write_groups
from stepwell.passes.schedules.nvidia.rows_keep import Kept, choose_kept
from stepwell.passes.schedules.nvidia.rows_launches import write_rows
from stepwell.passes.schedules.nvidia.rows_layout import REGISTER_VALUES, RowLayout, choose_layout, share_rows
from stepwell.passes.schedules.nvidia.rows_online import merge_powers
from stepwell.passes.schedules.nvidia.rows_phases import RowWork, row_work
from stepwell.passes.schedules.rule import Rule
from stepwell.support.target import Target

# Registers of a thread for addresses and what computing an element takes.
_WORKING_REGISTERS = 32


@dataclass(frozen=True)
class RowParameters:
    """How a kernel with rows is built.

    Attributes:
        work: what there is to do.
        layout: which thread does it.
        kept: where rows are between phases.
        kept_scalar: the same where pointers are not aligned.
        groups: results that need no row.
        reasons: why.
    """

    work: RowWork
    layout: RowLayout
    kept: Kept
    kept_scalar: Kept
    groups: tuple[Group, ...]
    reasons: tuple[str, ...]


class RowsRule(Rule):
    """Takes kernels whose reductions share one row space."""

    name: ClassVar[str] = "rows"

    def parameters(self, kernel: Kernel, target: Target) -> RowParameters:
        """Find rows and phases, then choose threads, vectors, blocks and where rows are kept."""
        work = row_work(kernel)
        layout, kept, kept_scalar = _place_rows(kernel, target, work)
        if not kept.where and not kept_scalar.where:
            merged = merge_powers(kernel, work)
            if merged is not None:
                work = merged
                layout, kept, kept_scalar = _place_rows(kernel, target, work)
        groups = choose_groups(kernel, target, work.free)
        reasons = (*_describe(target, work, layout, kept), *(describe(group, target) for group in groups))
        return RowParameters(work, layout, kept, kept_scalar, groups, reasons)

    def build(self, kernel: Kernel, target: Target, parameters: RowParameters) -> None:
        """Write the launches."""
        opened = OpenKernel.begin(kernel)
        try:
            elements = Elements(opened)
            keeps, scalar_keeps = parameters.kept.keeps, parameters.kept_scalar.keeps
            write_rows(elements, parameters.work, parameters.layout, keeps, scalar_keeps)
            write_groups(elements, parameters.groups)
        except BaseException:
            opened.abandon()
            raise
        opened.close(self.name, parameters.reasons)


def _place_rows(kernel: Kernel, target: Target, work: RowWork) -> tuple[RowLayout, Kept, Kept]:
    """Return which thread does what, and where rows are kept: with vectors, and without."""
    layout = choose_layout(kernel, target, work)
    if not choose_kept(target, work, layout).where:
        layout = share_rows(target, work, layout)
    kept, kept_scalar = (choose_kept(target, work, choice) for choice in (layout, layout.scalar()))
    return layout, kept, kept_scalar


def _describe(target: Target, work: RowWork, layout: RowLayout, kept: Kept) -> tuple[str, ...]:
    threads, wide = layout.threads, layout.wide
    held = REGISTER_VALUES if kept.where == "registers" else 0
    shared = sum(keep.bytes for keep in kept.keeps)
    full = occupancy(target, threads.threads, _WORKING_REGISTERS + held, shared)
    lengths = ", ".join("x".join(map(str, phase.extents)) or "1" for phase in work.phases)
    place = f"{threads.across} neighbouring rows" if threads.across > 1 else "elements of a row"
    reasons = [
        f"{work.rows} rows, phases of {lengths} points; {threads.team} threads per row, "
        f"{threads.rows} rows per block of {threads.threads}: neighbouring threads at {place}",
        f"vectors of {wide.lanes}: {wide.reason}",
        kept.reason,
        f"about {full.warps} warps per multiprocessor, limited by {full.limit}",
    ]
    if any(part.sums for part in work.parts):
        reasons.append("online: powers are summed relative to the maximum so far, in one pass with it")
    if layout.splits > 1:
        reasons.append(f"{layout.splits} blocks share a row, for there are few; a further launch joins their results")
    if work.alone:
        reasons.append("partial results of a reduction cannot be joined: one thread does a row")
    return tuple(reasons)
