"""Measure how long each pass takes, and report it in the form of MLIR's own reports.

MLIR also lists the analyses that a pass asked for; the bindings do not tell, so their time is part of the pass's row.
"""

import json
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from stepwell.passes.pipelines.instruments import Instrument, PassEvent

__all__ = ["TimeReport", "Timing"]

_RULE = "===" + "-" * 73 + "==="


@dataclass
class TimeReport:
    """Seconds spent, as a tree.

    Attributes:
        name: what was measured.
        wall: seconds that passed.
        user: seconds of processor time of this process, which threads make longer than ``wall``.
        children: parts of it, by the key that tells them apart.
        hidden: whether a tree shows only what is inside it.
    """

    name: str
    wall: float = 0.0
    user: float = 0.0
    children: dict[object, "TimeReport"] = field(default_factory=dict)
    hidden: bool = False

    def child(self, key: object, name: str) -> "TimeReport":
        """Return the part with ``key``, which is new where there is none."""
        return self.children.setdefault(key, TimeReport(name))

    @contextmanager
    def measured(self) -> Iterator[None]:
        """Add the time of the block."""
        wall, user = time.perf_counter(), time.process_time()
        try:
            yield
        finally:
            self.wall += time.perf_counter() - wall
            self.user += time.process_time() - user

    def add(self, wall: float, user: float) -> None:
        """Add seconds measured elsewhere."""
        self.wall += wall
        self.user += user


@dataclass
class Timing(Instrument):
    """Measures every pass; ``report`` tells.

    Attributes:
        root: the tree of times; the caller measures the total, and what is not a pass, in it.
    """

    root: TimeReport = field(default_factory=lambda: TimeReport("root"))
    _started: list[tuple[float, float]] = field(default_factory=list)

    def before(self, event: PassEvent) -> None:
        """Start the clock."""
        self._started.append((time.perf_counter(), time.process_time()))

    def after(self, event: PassEvent) -> None:
        """Stop it."""
        wall, user = self._started.pop()
        spent = (time.perf_counter() - wall, time.process_time() - user)
        row = self.root
        for (position, collection, pipeline), group in zip(event.nesting, event.groups, strict=True):
            row = row.child(("collection", position), collection)
            row.hidden = len(group) == 1
            row.add(*spent)
            row = row.child(("pipeline", position, pipeline), pipeline)
            row.add(*spent)
        row.child(("pass", event.position[-1]), event.title).add(*spent)

    def failed(self, event: PassEvent) -> None:
        """Stop it; what a failing pass took counts too."""
        self.after(event)

    def report(self, *, display: str = "tree", output: str = "text", threads: bool = True) -> str:
        """Return the report.

        Args:
            display: "tree" for passes where they ran, "list" for the sum over each name, longest first.
            output: "text" or "json".
            threads: whether to show processor time too, which with one thread is the same.
        """
        total = self.root
        if not total.wall:
            total.wall = sum(child.wall for child in total.children.values())
            total.user = sum(child.user for child in total.children.values())
        rows = _tree_rows(total) if display == "tree" else _list_rows(total)
        rest = TimeReport(
            "Rest",
            total.wall - sum(child.wall for child in total.children.values()),
            total.user - sum(child.user for child in total.children.values()),
        )
        entries = [*rows, (0, rest), (0, TimeReport("Total", total.wall, total.user))]
        if output == "json":
            return _json(total, entries[len(rows) if display == "tree" else 0 :], threads)
        lines = [_RULE, " " * 25 + "... Execution time report ...", _RULE]
        lines += [f"  Total Execution Time: {total.wall:.4f} seconds", ""]
        lines.append(("  ----User Time----" if threads else "") + "  ----Wall Time----  ----Name----")
        return "\n".join([*lines, *(_line(row, depth, total, threads) for depth, row in entries)]) + "\n"


def _tree_rows(report: TimeReport, depth: int = 0) -> list[tuple[int, TimeReport]]:
    rows = []
    for child in report.children.values():
        if not child.hidden:
            rows.append((depth, child))
        rows += _tree_rows(child, depth + (not child.hidden))
    return rows


def _all_rows(report: TimeReport) -> Iterator[TimeReport]:
    for child in report.children.values():
        yield child
        yield from _all_rows(child)


def _list_rows(total: TimeReport) -> list[tuple[int, TimeReport]]:
    sums = {"root": TimeReport("root", total.wall, total.user)}
    for row in _all_rows(total):
        sums.setdefault(row.name, TimeReport(row.name)).add(row.wall, row.user)
    return [(0, row) for row in sorted(sums.values(), key=lambda row: -row.wall)]


def _percent(part: float, whole: float) -> float:
    return 100.0 * part / whole if whole else 0.0


def _line(row: TimeReport, depth: int, total: TimeReport, threads: bool) -> str:
    user = f"  {row.user:8.4f} ({_percent(row.user, total.user):5.1f}%)" if threads else ""
    wall = f"  {row.wall:8.4f} ({_percent(row.wall, total.wall):5.1f}%)"
    return f"{user}{wall}  {'  ' * depth}{row.name}"


def _json(total: TimeReport, flat: Sequence[tuple[int, TimeReport]], threads: bool) -> str:
    """Return the tree of ``total``, where there is one, and then the rows of ``flat``."""

    def record(row: TimeReport) -> dict[str, object]:
        user = {"duration": round(row.user, 4), "percentage": round(_percent(row.user, total.user), 1)}
        wall = {"duration": round(row.wall, 4), "percentage": round(_percent(row.wall, total.wall), 1)}
        return {**({"user": user} if threads else {}), "wall": wall, "name": row.name}

    def tree(row: TimeReport) -> list[dict[str, object]]:
        inner = [entry for child in row.children.values() for entry in tree(child)]
        # MLIR ends every list of passes with an empty object.
        return inner if row.hidden else [{**record(row), "passes": [*inner, {}]}]

    is_tree = flat[0][1].name == "Rest"
    nested = [entry for child in total.children.values() for entry in tree(child)] if is_tree else []
    return "[\n" + ",\n".join(map(json.dumps, [*nested, *(record(row) for _, row in flat)])) + "\n]\n"
