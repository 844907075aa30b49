"""Run torch's OpInfo database through the compiler, and write results, table and list: see ``--help``."""

import argparse
import contextlib
import os
import resource
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Sequence

from conformance.database import BOUNDS, DEFAULT_SEED, DTYPES, names
from conformance.records import complaints, read_refusals, read_results, road_name, write_refusals, write_results
from conformance.supervisor import Supervisor, Task
from conformance.table import write_page
from conformance.verdicts import CRASHED, VERDICTS, WRONG, Tally

# A sort of 8000 elements takes minutes on the simulated GPU.
_SIMULATED_ELEMENTS = 1000


def main() -> int:
    """Run what the options say; return the exit status: 1 where something is wrong, broken or newly refused."""
    options = _options()
    tasks = _tasks(options)
    print(f"seed {options.seed}, {len(tasks)} ops and dtypes", flush=True)
    progress = _Progress(len(tasks))
    supervisor = Supervisor(options.workers, options.seconds, progress.report)
    with contextlib.suppress(KeyboardInterrupt):
        # What an interrupted run has found is written too.
        supervisor.run(tasks)
    tallies = supervisor.tallies
    elapsed = round(time.monotonic() - progress.start)
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    print(f"{elapsed} s, {round(used.ru_utime + used.ru_stime)} core seconds")
    for dtype, phases in progress.phases.items():
        print(f"{dtype}: seconds by phase: {_rounded(phases)}")
    for (op, dtype), note in supervisor.notes.items():
        print(f"{op} {dtype}: torch has no samples: {note}")
    road = road_name(options.target, options.device)
    if options.write:
        facts = {
            dtype: {
                "seed": options.seed,
                "bound": _bound(options, dtype),
                "takes": len(names(dtype)),
                "seconds": _rounded(progress.phases[dtype]),
            }
            for dtype in options.dtypes
        }
        write_results(road, tallies, facts)
        write_page(read_results())
    if options.record:
        write_refusals(tallies)
    # The list is that of the CPU road.
    found = complaints(tallies, read_refusals() if road == "cpu" else {})
    print("\n".join(found))
    counts = sum((tally.counts for tally in tallies.values()), Counter[str]())
    print(", ".join(f"{counts[kind]} {kind}" for kind in VERDICTS))
    return 1 if found else 0


def _rounded(phases: Counter[str]) -> dict[str, int]:
    return {phase: round(spent) for phase, spent in phases.items()}


class _Progress:
    """Prints a line per task, with what is wrong in it."""

    def __init__(self, total: int) -> None:
        self.start = time.monotonic()
        self.phases: dict[str, Counter[str]] = defaultdict(Counter)
        self._total = total
        self._done = 0

    def report(self, task: Task, tally: Tally, seconds: dict[str, float]) -> None:
        """Count a task and print it."""
        self._done += 1
        self.phases[task.dtype].update(seconds)
        counts = ", ".join(f"{tally.counts[kind]} {kind}" for kind in VERDICTS if tally.counts[kind])
        where = f"[{self._done}/{self._total} {time.monotonic() - self.start:.0f} s]"
        print(f"{where} {task.dtype} {task.op}: {counts} ({sum(seconds.values()):.1f} s)")
        for kind in (WRONG, CRASHED):
            for reason in tally.reasons.get(kind, ()):
                print(f"    {kind}: {reason} (sample {tally.first[kind]})")
        sys.stdout.flush()


def _tasks(options: argparse.Namespace) -> list[Task]:
    unknown = [dtype for dtype in options.dtypes if dtype not in DTYPES]
    if unknown:
        sys.exit(f"unknown dtypes {unknown}; known are {', '.join(DTYPES)}")
    return [
        Task(
            *(name, dtype, options.seed, options.target, options.device, _bound(options, dtype)),
            elements=_SIMULATED_ELEMENTS if options.device.startswith("sim") else None,
        )
        for dtype in options.dtypes
        for name in names(dtype)[:: options.every]
        if not options.ops or name in options.ops
    ]


def _bound(options: argparse.Namespace, dtype: str) -> int | None:
    """Return how many samples of each op are run with a dtype; None for all."""
    return BOUNDS[dtype] if options.samples is None else options.samples or None


def _options(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Parse the command line; what is left out is read from the environment, as `make` passes it."""

    def setting(name: str, default: str) -> str:
        return os.environ.get(name) or default

    def words(text: str) -> list[str]:
        return text.replace(",", " ").split()

    parser = argparse.ArgumentParser(prog="conformance", description=__doc__)
    parser.add_argument("--dtypes", type=words, default=words(setting("DTYPES", " ".join(DTYPES))))
    parser.add_argument("--ops", type=words, default=words(setting("OPS", "")), help="all where left out")
    samples = os.environ.get("SAMPLES")
    samples_help = "of each op; 0 for all; where left out, as many as the dtype has in database.BOUNDS"
    parser.add_argument("--samples", type=int, default=int(samples) if samples else None, help=samples_help)
    parser.add_argument("--every", type=int, default=int(setting("EVERY", "1")), help="run every nth op")
    parser.add_argument("--target", default=setting("TARGET", "cpu"))
    parser.add_argument("--device", default=setting("DEVICE", "cpu"))
    parser.add_argument("--seed", type=int, default=int(setting("SEED", str(DEFAULT_SEED))))
    parser.add_argument("--workers", type=int, default=int(setting("WORKERS", "2")), help="processes side by side")
    parser.add_argument("--seconds", type=float, default=240.0, help="time limit of one sample")
    parser.add_argument("--write", action="store_true", help="write the results and docs/conformance.md")
    parser.add_argument("--record", action="store_true", help="put what is refused into the list")
    options = parser.parse_args(arguments)
    if options.record and options.target != "cpu":
        parser.error("the list of refusals is that of the CPU road")
    return options


if __name__ == "__main__":
    sys.exit(main())
