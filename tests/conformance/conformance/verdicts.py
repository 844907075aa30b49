"""What is said about a sample, and about all samples of an op."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

RIGHT = "right"
REFUSED = "refused"
WRONG = "wrong"
CRASHED = "crashed"
NOT_EXPORTED = "not exported"
VERDICTS = (RIGHT, REFUSED, WRONG, CRASHED, NOT_EXPORTED)


@dataclass(frozen=True)
class Verdict:
    """One of ``VERDICTS``, and why."""

    kind: str
    reason: str = ""


@dataclass
class Tally:
    """The verdicts on an op with one dtype.

    Attributes:
        total: how many samples torch has.
        counts: how many were given each verdict.
        reasons: per verdict, how many were given it for which reason.
        first: per verdict, the index of the first sample that was given it.
        refusals: the index of the first sample refused for each reason.
    """

    total: int
    counts: Counter[str] = field(default_factory=Counter)
    reasons: dict[str, Counter[str]] = field(default_factory=dict)
    first: dict[str, int] = field(default_factory=dict)
    refusals: dict[str, int] = field(default_factory=dict)

    def add(self, verdicts: Iterable[tuple[int, Verdict]]) -> None:
        """Count verdicts on samples, given with their indices."""
        for index, verdict in verdicts:
            self.counts[verdict.kind] += 1
            self.first[verdict.kind] = min(index, self.first.get(verdict.kind, index))
            if verdict.reason:
                self.reasons.setdefault(verdict.kind, Counter())[verdict.reason] += 1
            if verdict.kind == REFUSED:
                self.refusals[verdict.reason] = min(index, self.refusals.get(verdict.reason, index))

    def to_json(self) -> dict[str, Any]:
        """Return plain data; what there is none of is left out."""
        data: dict[str, Any] = {"samples": self.total}
        data |= {kind: self.counts[kind] for kind in VERDICTS if self.counts[kind]}
        reasons = {kind: dict(sorted(found.items())) for kind, found in self.reasons.items()}
        return data | {"reasons": reasons} if reasons else data
