"""Of the candidates that a schedule rule ranked by its own estimate, the best by what ptxas made of them."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from stepwell.passes.schedules.nvidia.machine import Occupancy, occupancy
from stepwell.runtime.gpu_code import PtxasReport
from stepwell.runtime.plan import KernelInfo
from stepwell.support.target import Target


@dataclass(frozen=True)
class Finalist:
    """A candidate down to machine code.

    Attributes:
        choice: its number in the rule's ranking.
        info: what is known of the kernel.
        ptx: its PTX.
        cubin: its machine code.
        report: what ptxas said.
        estimate: the time that the rule expects, in a unit of its own; None where it does not say.
        registers: how many registers of a thread that counts on; None where the rule does not say.
    """

    choice: int
    info: KernelInfo
    ptx: str
    cubin: bytes
    report: PtxasReport
    estimate: float | None = None
    registers: int | None = None

    def resident(self, target: Target, registers: int | None = None) -> Occupancy:
        """Return what a multiprocessor holds of the launch that fits worst, or would hold with so many registers."""
        found = [
            occupancy(
                target,
                grid.threads,
                registers or self.report.entries[grid.entry].registers,
                grid.shared_bytes + self.report.entries[grid.entry].shared_bytes,
            )
            for grid in self.info.grids
        ]
        return min(found, key=lambda fits: fits.warps)

    @property
    def spilled(self) -> int:
        """Bytes that the entries spill."""
        return sum(entry.spill_stores + entry.spill_loads for entry in self.report.entries.values())

    def expected(self, target: Target) -> float:
        """Return the rule's estimate, corrected where fewer blocks fit a multiprocessor than it counted on."""
        if self.estimate is None:
            return float(self.choice)
        if self.registers is None:
            return self.estimate
        counted, real = (self.resident(target, registers).blocks for registers in (self.registers, None))
        return self.estimate * max(1.0, counted / max(real, 1))

    def describe(self, target: Target) -> str:
        """Return what ptxas made of it, as one phrase."""
        registers = max(entry.registers for entry in self.report.entries.values())
        fits = self.resident(target)
        parts = [f"{registers} registers", f"{fits.blocks} blocks per multiprocessor, limited by {fits.limit}"]
        if self.spilled:
            parts.append(f"{self.spilled} bytes spilled")
        parts += [f"ptxas: {warning}" for warning in self.report.warnings]
        return "; ".join(parts)


def choose(finalists: Sequence[Finalist], target: Target) -> Finalist:
    """Return the best: one that spills nothing and draws no warning, of those the one expected to be the fastest.

    Where all spill, the one that spills the least.  The reasons of the chosen tell of the others.
    """
    ranked = sorted(
        finalists,
        key=lambda f: (bool(f.report.warnings), f.spilled, f.expected(target), f.choice),
    )
    best, *others = ranked
    if not others:
        return best
    told = [f"compiled: {best.describe(target)}"]
    told += [f"compiled and left: {' '.join(other.info.reasons[:1])} ({other.describe(target)})" for other in others]
    reasons = (*best.info.reasons[:1], *told, *best.info.reasons[1:])
    return replace(best, info=replace(best.info, reasons=reasons))
