"""Show what passes counted, in the form of MLIR's own report."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

from stepwell.passes.pipelines.instruments import Instrument, PassEvent, Statistic

__all__ = ["Statistics"]

_RULE = "===" + "-" * 73 + "==="


@dataclass
class Row:
    """A pass or a nested pipeline, with its sums."""

    name: str
    statistics: dict[str, Statistic] = field(default_factory=dict)
    children: dict[tuple[int, str], "Row"] = field(default_factory=dict)

    def add(self, counted: Mapping[str, Statistic]) -> None:
        """Add one run's numbers."""
        for name, statistic in counted.items():
            before = self.statistics.get(name, Statistic(0, ""))
            self.statistics[name] = Statistic(before.value + statistic.value, statistic.description)


@dataclass
class Statistics(Instrument):
    """Adds up the statistics of each pass; ``report`` tells."""

    statistics: ClassVar[bool] = True

    root: Row = field(default_factory=lambda: Row(""))

    def after(self, event: PassEvent) -> None:
        """Add what one run counted."""
        row = self.root
        for (position, collection, pipeline), group in zip(event.nesting, event.groups, strict=True):
            # A collection of one pipeline is not shown.
            if len(group) > 1:
                row = row.children.setdefault((position, ""), Row(collection))
            row = row.children.setdefault((position, pipeline), Row(pipeline))
        row = row.children.setdefault((event.position[-1], ""), Row(event.title))
        row.add(event.statistics)

    def failed(self, event: PassEvent) -> None:
        """Show a pass that failed, too."""
        self.after(event)

    def report(self, *, display: str = "pipeline") -> str:
        """Return the report: "pipeline" shows passes where they ran, "list" the sums over each name, sorted."""
        lines = [_RULE, " " * 25 + "... Pass statistics report ...", _RULE]
        if display == "list":
            sums: dict[str, Row] = {}
            _merge(self.root, sums)
            for name in sorted(sums):
                # MLIR leaves out passes without statistics here, and indents the others.
                if sums[name].statistics:
                    lines += _lines(sums[name], 1)
        else:
            for child in self.root.children.values():
                lines += _lines(child, 0)
        return "\n".join(lines) + "\n\n"


def _merge(row: Row, sums: dict[str, Row]) -> None:
    for child in row.children.values():
        if not child.children:
            sums.setdefault(child.name, Row(child.name)).add(child.statistics)
        _merge(child, sums)


def _lines(row: Row, depth: int) -> list[str]:
    indent = "  " * depth
    lines = [f"{indent}{row.name}"]
    width = max((len(name) for name in row.statistics), default=0)
    digits = max((len(str(item.value)) for item in row.statistics.values()), default=0)
    for name, item in sorted(row.statistics.items()):
        lines.append(f"{indent}  (S) {item.value:>{digits}} {name:<{width}} - {item.description}")
    for child in _in_order(row):
        lines += _lines(child, depth + 1)
    return lines


def _in_order(row: Row) -> list[Row]:
    """Return what is inside a row: the pipelines of a collection by name, passes as they run."""
    children = list(row.children.values())
    return sorted(children, key=lambda child: child.name) if row.name.startswith("Pipeline Collection") else children
