"""What a simulated device counts."""

from collections import Counter
from dataclasses import dataclass, field, fields
from typing import Any


@dataclass
class Counts:
    """Instructions executed and bytes moved. Sectors and passes are counted on demand only.

    Attributes:
        warps: instructions issued, once for a warp, by class.
        threads: instructions executed, once for each active thread, by class.
        bytes: bytes moved, by (space, kind): ("global", "load").
        sectors: 32-byte sectors of global memory touched, by kind; each counts once for a warp and an instruction.
        passes: passes over shared memory, by kind; ``least_passes`` is how many there would be without bank conflicts.
        launches: launches by entry.
    """

    warps: Counter[str] = field(default_factory=Counter)
    threads: Counter[str] = field(default_factory=Counter)
    bytes: Counter[tuple[str, str]] = field(default_factory=Counter)
    sectors: Counter[str] = field(default_factory=Counter)
    passes: Counter[str] = field(default_factory=Counter)
    least_passes: Counter[str] = field(default_factory=Counter)
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
        parts = {one.name: getattr(self, one.name) for one in fields(self) if one.name != "bytes"}
        return {**{name: dict(sorted(part.items())) for name, part in parts.items()}, "bytes": spaces}

    def _parts(self) -> tuple[Counter[Any], ...]:
        return tuple(getattr(self, one.name) for one in fields(self))
