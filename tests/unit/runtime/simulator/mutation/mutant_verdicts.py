"""What becomes of a kernel's mutants in the strict simulator: found by data or checker, equivalent, or missed."""

import re
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from unittest.mock import patch

import numpy as np
from ptx_edits import Mutant, mutants

from stepwell.runtime.simulator.strict import machine
from stepwell.support.errors import SimulationError

Results = list[np.ndarray]
TURNS = 100_000
"""Turns of warps after which a mutant counts as endless; the kernels here take fewer than a tenth of it."""

SEEDS = range(6)
"""A mutant that the checker lets pass must also give right numbers in all of these orders to count as missed."""


@dataclass(frozen=True)
class Equivalent:
    """Mutants that are no faults.

    Attributes:
        operator: name of the operator.
        statement: regular expression for the statement before the edit.
        reason: why the kernel is still right.
        after: regular expression for the statement after the edit.
    """

    operator: str
    statement: str
    reason: str
    after: str = ""

    def covers(self, mutant: Mutant) -> bool:
        """Whether this speaks of the mutant."""
        before, after = re.search(self.statement, mutant.before), re.search(self.after, mutant.after)
        return mutant.operator == self.operator and before is not None and after is not None


@dataclass(frozen=True)
class Family:
    """A kernel to bend.

    Attributes:
        name: of the family, for the table.
        ptx: the module.
        entry: the kernel.
        run: runs a PTX text in strict mode, with a seed; returns what it wrote.
        expected: what the kernel must write.
        tolerance: largest difference, relative to the largest expected value.
        equivalents: known equivalent mutants.
    """

    name: str
    ptx: str
    entry: str
    run: Callable[[str, int], Results]
    expected: Results
    tolerance: float = 0.0
    equivalents: tuple[Equivalent, ...] = ()


@dataclass(frozen=True)
class Verdict:
    """What became of one mutant: ``kind`` is "checker", "data", "equivalent" or "missed"."""

    mutant: Mutant
    kind: str
    detail: str


@dataclass
class Tally:
    """The verdicts on a family's mutants."""

    family: str
    seconds: float = 0.0
    verdicts: list[Verdict] = field(default_factory=list)

    def count(self, kind: str) -> int:
        """Return the number of verdicts of a kind."""
        return sum(verdict.kind == kind for verdict in self.verdicts)

    def of(self, kind: str) -> list[Verdict]:
        """Return the verdicts of a kind."""
        return [verdict for verdict in self.verdicts if verdict.kind == kind]


def judge(family: Family, mutant: Mutant) -> Verdict:
    """Run one mutant, in as many orders as it takes to catch it."""
    for seed in SEEDS:
        finding = problem(family, mutant.ptx, seed)
        if finding is not None:
            return Verdict(mutant, *finding)
    for known in family.equivalents:
        if known.covers(mutant):
            return Verdict(mutant, "equivalent", known.reason)
    return Verdict(mutant, "missed", "")


def problem(family: Family, ptx: str, seed: int) -> tuple[str, str] | None:
    """Return what the strict simulator finds wrong with a version of the kernel: ("checker" or "data", details)."""
    try:
        with patch.object(machine, "TURNS", TURNS):
            results = family.run(ptx, seed)
    except SimulationError as error:
        return "checker", f"{type(error).__name__}: {error}"
    for number, (result, expected) in enumerate(zip(results, family.expected, strict=True)):
        worst = _difference(result, expected)
        if not worst <= family.tolerance:
            return "data", f"result {number} is off by {worst:.3g} of the largest value"
    return None


def _difference(result: np.ndarray, expected: np.ndarray) -> float:
    result, expected = (np.asarray(array, np.float64) for array in (result, expected))
    if not np.isfinite(result).all():
        return np.inf
    return float(np.abs(result - expected).max() / max(np.abs(expected).max(), 1e-30))


def sweep(
    family: Family, chosen: Iterable[Mutant] | None = None, tell: Callable[[str], None] = lambda line: None
) -> Tally:
    """Judge mutants of a family: all of them, or those given."""
    tally, start = Tally(family.name), time.perf_counter()
    for mutant in mutants(family.ptx, family.entry) if chosen is None else chosen:
        verdict = judge(family, mutant)
        tell(f"{verdict.kind:10} {mutant} {verdict.detail.splitlines()[0] if verdict.detail else ''}")
        tally.verdicts.append(verdict)
    tally.seconds = time.perf_counter() - start
    return tally
