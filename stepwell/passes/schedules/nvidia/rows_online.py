"""Merge the two reductions of a softmax into one, for rows that would else be read once for each."""

from dataclasses import replace

from stepwell.passes.schedules.joins import Powers
from stepwell.passes.schedules.kernel import Kernel
from stepwell.passes.schedules.nvidia.rows_phases import Part, Phase, RowWork
from stepwell.passes.schedules.online import powers_of


def merge_powers(kernel: Kernel, work: RowWork) -> RowWork | None:
    """Return ``work`` with sums of powers done beside the maxima that they are relative to.

    None where that would save no pass: a phase has to go altogether.
    """
    phases: list[Phase] = []
    for phase in work.phases:
        merged = _without(kernel, phases, phase)
        phases = [*phases, phase] if merged is None else merged
    return None if len(phases) == len(work.phases) else replace(work, phases=tuple(phases))


def _without(kernel: Kernel, before: list[Phase], phase: Phase) -> list[Phase] | None:
    """Return the phases ``before`` with all that ``phase`` does; None where they cannot do it."""
    phases = before
    for part in phase.parts:
        if not phase.reduces or not phase.extents or part.extras:
            return None
        found = _beside(kernel, phases, part)
        if found is None:
            return None
        phases = found
    return phases


def _beside(kernel: Kernel, phases: list[Phase], sums: Part) -> list[Phase] | None:
    for number, phase in enumerate(phases):
        if not phase.reduces or phase.extents != sums.nest.extents:
            continue
        for place, part in enumerate(phase.parts):
            joins = powers_of(kernel, part.nest, sums.nest)
            if joins is None:
                continue
            if isinstance(part.joins, Powers):
                both = replace(part, joins=replace(joins, guarded=part.joins.guarded + joins.guarded))
            else:
                uses = replace(part.nest.uses, cost=part.nest.uses.cost + sums.nest.uses.cost)
                both = replace(part, nest=replace(part.nest, uses=uses), joins=joins)
            both = replace(both, sums=(*part.sums, sums.nest.op))
            parts = (*phase.parts[:place], both, *phase.parts[place + 1 :])
            return [*phases[:number], Phase(parts), *phases[number + 1 :]]
    return None
