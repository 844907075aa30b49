"""What is known of a compiled kernel."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from stepwell.runtime.grids import GridLaunch
from stepwell.support.symbolic import Expr

_ZERO = Expr.const(0)


@dataclass(frozen=True)
class KernelInfo:
    """What is known of a compiled kernel.

    Attributes:
        symbol: name of its function in the object file.
        workspace_per_thread: bytes of scratch memory per thread, a multiple of 64.
        asserts: messages of its run-time checks; status n + 1 means that check n failed.
        flops, bytes: arithmetic and compulsory memory traffic of one launch, over the program's symbols; None where
            they are not known.
        schedule: the schedule that was chosen, with its parameters.
        reasons: why that one, and what spoke against the others.
        grids: the launches of a GPU kernel, in order; empty for a CPU.
        workspace: bytes of scratch memory that a GPU kernel's launches share.
    """

    symbol: str
    workspace_per_thread: int = 0
    asserts: tuple[str, ...] = ()
    flops: Expr | None = None
    bytes: Expr | None = None
    schedule: str = ""
    reasons: tuple[str, ...] = ()
    grids: tuple[GridLaunch, ...] = ()
    workspace: Expr = _ZERO

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON data."""
        return {
            "symbol": self.symbol,
            "workspace_per_thread": self.workspace_per_thread,
            "asserts": list(self.asserts),
            "flops": None if self.flops is None else self.flops.to_json(),
            "bytes": None if self.bytes is None else self.bytes.to_json(),
            "schedule": self.schedule,
            "reasons": list(self.reasons),
            "grids": [grid.to_json() for grid in self.grids],
            "workspace": self.workspace.to_json(),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "KernelInfo":
        """Read what ``to_json`` wrote."""
        return cls(
            data["symbol"],
            int(data["workspace_per_thread"]),
            tuple(data["asserts"]),
            None if data["flops"] is None else Expr.from_json(data["flops"]),
            None if data["bytes"] is None else Expr.from_json(data["bytes"]),
            data["schedule"],
            tuple(data["reasons"]),
            tuple(map(GridLaunch.from_json, data["grids"])),
            Expr.from_json(data["workspace"]),
        )
