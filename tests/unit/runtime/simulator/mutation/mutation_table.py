"""Judge every mutant of the families named, or of all, and write the table of docs/mutation.md.

    python tests/unit/runtime/simulator/mutation/mutation_table.py [family ...]

Rows of families that are not named stay as they are.
"""

import sys
from datetime import date
from pathlib import Path

from mutant_verdicts import Tally, sweep
from mutated_kernels import CASES, families

PAGE = Path(__file__).parents[5] / "docs" / "mutation.md"
_HEAD = """# Mutation table

Written by `make mutation`. Every kernel below runs clean in the strict simulator. Each of its mutants is one edit of
the PTX: a barrier, wait, fence, commit, arrival, predicate, xor or `.trans` dropped; a wait that allows one group more;
an address, count, phase or shuffle that is off. A mutant is *caught* by the checker (a data race, a proxy without a
fence, a barrier or wait that cannot end, memory that nothing wrote or that is out of bounds, registers in flight) or in
the data. *Equivalent* mutants are listed with the reason why the kernel is still right; *missed* ones would be a fault
of the simulator, and there are none.

| family | mutants | by the checker | in the data | equivalent | missed | measured |
|---|---|---|---|---|---|---|
"""
_KINDS = ("checker", "data", "equivalent", "missed")


def main(names: list[str]) -> int:
    """Judge, write the page, and return 1 where a mutant was missed or too many are equivalent."""
    unknown = [name for name in names if name not in CASES]
    if unknown:
        print(f"no such family: {', '.join(unknown)}; there are: {', '.join(CASES)}", file=sys.stderr)
        return 2
    rows, reasons = _known(PAGE)
    failed = False
    for name in names or CASES:
        tally = Tally(name)
        for family in families(name):
            tally.verdicts += sweep(family, tell=print).verdicts
        failed |= bool(tally.count("missed")) or tally.count("equivalent") * 20 > len(tally.verdicts)
        counts = " | ".join(str(tally.count(kind)) for kind in _KINDS)
        rows[name] = f"| {name} | {len(tally.verdicts)} | {counts} | {date.today().isoformat()} |"
        reasons[name] = [f"- {name}: `{verdict.mutant}`: {verdict.detail}" for verdict in tally.of("equivalent")]
        _write(PAGE, rows, reasons)
    return int(failed)


def _known(page: Path) -> tuple[dict[str, str], dict[str, list[str]]]:
    """Return the rows and the reasons of the page, by family."""
    rows: dict[str, str] = {}
    reasons: dict[str, list[str]] = {}
    for line in page.read_text().splitlines() if page.exists() else ():
        if line.startswith("| ") and not line.startswith("| family"):
            rows[line.split(" | ")[0][2:]] = line
        elif line.startswith("- "):
            reasons.setdefault(line[2:].split(":")[0], []).append(line)
    return rows, reasons


def _write(page: Path, rows: dict[str, str], reasons: dict[str, list[str]]) -> None:
    names = [name for name in CASES if name in rows]
    listed = "\n".join(line for name in names for line in reasons.get(name, ()))
    page.write_text(_HEAD + "\n".join(rows[name] for name in names) + "\n\n## Equivalent mutants\n\n" + listed + "\n")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
