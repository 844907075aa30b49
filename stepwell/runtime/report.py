"""What an executable tells of itself: its kernels, where they come from, what they move, how long they take."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from stepwell.runtime.gpu_code import GpuCode
from stepwell.runtime.plan import KernelInfo, Launch, Plan
from stepwell.support.symbolic import Expr

_TIME_HEADS = ("kernel", "time us", "MB", "GFLOP", "GB/s", "GFLOP/s", "schedule", "source")
_COUNT_HEADS = ("kernel", "warp instructions", "MB", "MB read", "MB written", "MB shared", "schedule", "source")
_READS, _WRITES = ("load",), ("store", "atomic", "reduce")


@dataclass(frozen=True)
class Sample:
    """One measured launch.

    Attributes:
        number: of the launch in the main program.
        seconds: how long it took; None on a simulated device.
        counts: what a simulated device counted, by name; empty on others.
    """

    number: int
    seconds: float | None = None
    counts: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class LaunchReport:
    """One launch.

    Attributes:
        kernel: its kernel's name.
        source: the ops it came from, as "conv2d model.py:12".
        bytes: compulsory memory traffic: every input and output once.
        flops: arithmetic; None where the compiler did not say.
        seconds: mean time of one launch; None where nothing was measured.
        schedule: how the kernel was scheduled.
        counts: what a simulated device counted in one launch, by name; empty where there was none.
    """

    kernel: str
    source: tuple[str, ...]
    bytes: Expr
    flops: Expr | None
    seconds: float | None
    schedule: str
    counts: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Report:
    """All launches of a program in order; ``str`` gives a table.

    Attributes:
        launches: the launches.
        sizes: the symbols' values during measurement; empty where nothing was measured.
    """

    launches: tuple[LaunchReport, ...]
    sizes: Mapping[str, int]

    def __str__(self) -> str:
        counted = any(launch.counts for launch in self.launches)
        rows: list[tuple[str, ...]] = [_COUNT_HEADS if counted else _TIME_HEADS]
        rows += [self._counts(launch) if counted else self._row(launch) for launch in self.launches]
        widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
        return "\n".join(
            "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
        )

    def _row(self, launch: LaunchReport) -> tuple[str, ...]:
        seconds = launch.seconds
        return (
            launch.kernel,
            "-" if seconds is None else f"{seconds * 1e6:.1f}",
            self._amount(launch.bytes, 1e6, "B"),
            self._amount(launch.flops, 1e9, "FLOP"),
            self._rate(launch.bytes, seconds),
            self._rate(launch.flops, seconds),
            launch.schedule,
            ", ".join(launch.source),
        )

    def _counts(self, launch: LaunchReport) -> tuple[str, ...]:
        counts = launch.counts
        return (
            launch.kernel,
            str(sum(count for name, count in counts.items() if name.endswith(" warps"))),
            self._amount(launch.bytes, 1e6, "B"),
            *(
                f"{sum(counts.get(f'{space} {kind} bytes', 0) for kind in kinds) / 1e6:.3g}"
                for space, kinds in (("global", _READS), ("global", _WRITES), ("shared", (*_READS, *_WRITES)))
            ),
            launch.schedule,
            ", ".join(launch.source),
        )

    def _amount(self, expr: Expr | None, scale: float, unit: str) -> str:
        """Return an amount in the column's unit, or as a formula in plain ``unit`` where its sizes are not known."""
        if expr is None:
            return "-"
        if not expr.symbols <= self.sizes.keys():
            return f"{expr} {unit}"
        return f"{expr.evaluate(self.sizes) / scale:.3g}"

    def _rate(self, expr: Expr | None, seconds: float | None) -> str:
        """Return billions per second, where both amount and time are known."""
        if expr is None or seconds is None or not expr.symbols <= self.sizes.keys():
            return "-"
        return f"{expr.evaluate(self.sizes) / 1e9 / max(seconds, 1e-9):.3g}"


def make_report(plan: Plan, samples: Sequence[Sample], sizes: Mapping[str, int]) -> Report:
    """Build the report of a plan's main program."""
    found: dict[int, list[Sample]] = {}
    for sample in samples:
        found.setdefault(sample.number, []).append(sample)
    reports = []
    for number, launch in enumerate(plan.main.launches):
        info = plan.kernels[launch.kernel]
        measured = found.get(number, [])
        spent = [sample.seconds for sample in measured if sample.seconds is not None]
        mean = sum(spent) / len(spent) if spent else None
        counts = measured[-1].counts if measured else {}
        moved = traffic(launch, info)
        reports.append(LaunchReport(launch.kernel, launch.source, moved, info.flops, mean, info.schedule, counts))
    return Report(tuple(reports), dict(sizes))


def traffic(launch: Launch, info: KernelInfo) -> Expr:
    """Return the bytes that a launch has to move."""
    if info.bytes is not None:
        return info.bytes
    total = Expr.const(0)
    for tensor in (*launch.inputs, *launch.outputs):
        total = total + tensor.bytes
    return total


def explain(plan: Plan, kernels: Mapping[str, bytes]) -> str:
    """Return, for each kernel, the ops it came from, the chosen schedule, the reasons, and what ptxas made of it."""
    lines = []
    for name, info in plan.kernels.items():
        sources = [source for launch in plan.main.launches if launch.kernel == name for source in launch.source]
        lines.append(f"{name}: {', '.join(dict.fromkeys(sources)) or 'prepare'}")
        lines.append(f"  schedule: {info.schedule or 'not recorded'}")
        lines += [f"  {reason}" for reason in info.reasons]
        if info.grids:
            lines += [f"  {line}" for line in _resources(GpuCode.from_bytes(kernels[name]))]
    return "\n".join(lines)


def _resources(code: GpuCode) -> list[str]:
    """Return what the entries of a GPU kernel take, as ptxas reported it."""
    lines = []
    for arch, report in code.reports.items():
        for name, entry in report.entries.items():
            spills = f", {entry.spill_stores + entry.spill_loads} bytes of spills" if entry.spills else ""
            lines.append(f"{name} on {arch}: {entry.registers} registers{spills}")
        lines += [f"ptxas for {arch}: {warning}" for warning in report.warnings]
    return lines
