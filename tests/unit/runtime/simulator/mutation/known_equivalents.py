"""Mutants that are no faults, by family, each with the reason why the kernel is still right."""

from mutant_verdicts import Equivalent

EQUIVALENTS: dict[str, tuple[Equivalent, ...]] = {}
