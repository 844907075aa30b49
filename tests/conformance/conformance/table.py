"""The page docs/conformance.md, made from the files of results."""

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from conformance.database import DTYPES
from conformance.records import ROOT
from conformance.verdicts import CRASHED, NOT_EXPORTED, REFUSED, VERDICTS, WRONG

# Torch's tensors without data and the symbols in them, which differ from sample to sample.
_FAKES = re.compile(r"FakeTensor\(.*|(?<=symbols )\{[^}]*\}")
PAGE = ROOT / "docs" / "conformance.md"

_HEAD = """# Conformance

Written by `make conformance` or `make conformance-whole` from `tests/conformance/results`; never by hand.

Torch keeps a database of its ops, OpInfo, with sample inputs for each. Every op that takes a dtype is exported with
its samples, imported, compiled and run, and each result is compared with eager torch and with float64. A sample is

- *right*: structure, dtype and shape are eager's, and no element is further from float64 than four times eager's own
  largest error plus 16 roundings of the largest element; NaN and infinities where eager or float64 has them; whole
  numbers and bools exactly. Random results have eager's dtype and shape, and a mean that eager's draws allow;
- *refused*: importing or compiling raises an error that names the op and the reason;
- *wrong*: anything else comes out; *crashed*: anything else happens. There must be none;
- *not exported*: torch itself does not export the call, or its exported program fails.

Of ops with more samples than the column "each" says, some are run, at even distances, always the same. Where the
column "ops" names two numbers, so many of the ops that take the dtype are run, again at even distances.
"""


def write_page(results: Sequence[Mapping[str, Any]]) -> None:
    """Write the page."""
    PAGE.write_text(page(results))


def page(results: Sequence[Mapping[str, Any]]) -> str:
    """Return the text of the page."""
    parts = [_HEAD]
    for road in dict.fromkeys(result["road"] for result in results):
        mine = sorted(
            (result for result in results if result["road"] == road), key=lambda result: DTYPES.index(result["dtype"])
        )
        parts += _road(road, mine)
    return "\n".join(parts)


def _road(road: str, results: Sequence[Mapping[str, Any]]) -> list[str]:
    parts = [f"## {road}\n", *_summary(results)]
    for kind, title in (
        (WRONG, "Wrong"),
        (CRASHED, "Crashed"),
        (REFUSED, "Refused"),
        (NOT_EXPORTED, "Not exported by torch"),
    ):
        if lines := _by_reason(results, kind):
            parts += [f"### {title}: {road}\n", "| reason | ops |", "|---|---|", *lines, ""]
    return parts


def _summary(results: Sequence[Mapping[str, Any]]) -> Iterable[str]:
    yield (
        "| dtype | ops | all right | each | samples run | of | "
        + " | ".join(VERDICTS)
        + " | seconds | commit | torch |"
    )
    yield "|---|" + "---:|" * (len(VERDICTS) + 6) + "---|---|"
    for result in results:
        ops = result["ops"].values()
        counts = [sum(op.get(kind, 0) for op in ops) for kind in VERDICTS]
        fine = sum(all(not op.get(kind) for kind in VERDICTS[1:]) for op in ops)
        total = sum(op["samples"] for op in ops)
        takes = result.get("takes", len(ops))
        cells = [
            len(ops) if len(ops) == takes else f"{len(ops)} of {takes}",
            fine,
            result["bound"] or "all",
            sum(counts),
            total,
            *counts,
            sum(result["seconds"].values()),
            result["commit"],
        ]
        yield f"| {result['dtype']} | " + " | ".join(map(str, cells)) + f" | {result['versions']['torch']} |"
    yield ""


def _by_reason(results: Sequence[Mapping[str, Any]], kind: str) -> list[str]:
    """Return a row per reason: which ops, and where it is not all dtypes of the run, with which dtypes."""
    found: dict[str, dict[str, dict[str, None]]] = defaultdict(lambda: defaultdict(dict))
    for result in results:
        for op, tally in result["ops"].items():
            for reason in tally.get("reasons", {}).get(kind, ()):
                found[_FAKES.sub("...", reason)][op][result["dtype"]] = None
    takes = {op: [result["dtype"] for result in results if op in result["ops"]] for r in results for op in r["ops"]}
    rows = []
    for reason, ops in sorted(found.items()):
        names = [
            op if list(dtypes) == takes[op] else f"{op} ({', '.join(dtypes)})" for op, dtypes in sorted(ops.items())
        ]
        rows.append(f"| {reason.replace('|', chr(92) + '|')} | {', '.join(names)} |")
    return rows
