"""What a simulated device counts."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Counts:
    """Instructions executed and bytes moved.

    Attributes:
        warps: instructions issued, once for a warp, by class.
        threads: instructions executed, once for each active thread, by class.
        bytes: bytes moved, by (space, kind): ("global", "load").
        sectors: 32-byte sectors of global memory touched, by kind; each is counted once for a warp and an instruction.
        launches: launches by entry.
    """

    warps: Counter[str] = field(default_factory=Counter)
    threads: Counter[str] = field(default_factory=Counter)
    bytes: Counter[tuple[str, str]] = field(default_factory=Counter)
    sectors: Counter[str] = field(default_factory=Counter)
    launches: Counter[str] = field(default_factory=Counter)

    def add(self, other: "Counts") -> None:
        """Add another's numbers to these."""
        for mine, its in zip(self._parts(), other._parts(), strict=True):
            mine.update(its)

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON data, in a fixed order."""
        spaces: dict[str, dict[str, int]] = {}
        for (space, kind), moved in sorted(self.bytes.items()):
            spaces.setdefault(space, {})[kind] = moved
        flat = {"warps": self.warps, "threads": self.threads, "sectors": self.sectors, "launches": self.launches}
        return {**{name: dict(sorted(part.items())) for name, part in flat.items()}, "bytes": spaces}

    def _parts(self) -> tuple[Counter[Any], ...]:
        return self.warps, self.threads, self.bytes, self.sectors, self.launches
