"""A slice of the conformance run: which ops and dtypes changes with every commit, the same for the same commit.

STEPWELL_CONFORMANCE_SLICE=n repeats slice ``n`` of any commit.  The whole is ``make conformance``.
"""

import hashlib
import os
import subprocess

from conformance.database import DEFAULT_SEED, DTYPES, names
from conformance.records import ROOT, complaints, read_refusals, read_results
from conformance.supervisor import Supervisor, Task

# With a cold cache this takes about a minute on two cores.
_PAIRS = 120
_SAMPLES = 2


def _rotation() -> int:
    """Return a number that grows with each commit."""
    if given := os.environ.get("STEPWELL_CONFORMANCE_SLICE"):
        return int(given)
    counted = subprocess.run(["git", "rev-list", "--count", "HEAD"], cwd=ROOT, capture_output=True, text=True)
    return int(counted.stdout) if counted.returncode == 0 else 0


def test_a_slice_of_all_ops_and_dtypes() -> None:
    rotation = _rotation()
    print(f"STEPWELL_CONFORMANCE_SLICE={rotation}")
    listed = read_refusals()
    # What the table shows as wrong is known; everything else must be right.
    known = {(op, file["dtype"]) for file in read_results() for op, tally in file["ops"].items() if tally.get("wrong")}
    pairs = [(op, dtype) for dtype in DTYPES for op in names(dtype) if (op, dtype) not in known]
    pairs.sort(key=lambda pair: hashlib.sha256(f"{rotation} {pair}".encode()).digest())
    tasks = [
        # A listed op is run with the samples that were refused, so that it is seen when it works.
        Task(op, dtype, DEFAULT_SEED, bound=_SAMPLES, also=tuple(listed.get(dtype, {}).get(op, {}).values()))
        for op, dtype in pairs[:_PAIRS]
    ]
    tallies = Supervisor(width=2, seconds=120.0).run(tasks)
    assert len(tallies) == _PAIRS
    faults = complaints(tallies, listed)
    assert not faults, "\n".join(faults)
