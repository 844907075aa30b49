"""What the warps of a warpgroup must have in common, and the lanes of a warp."""

from collections import deque
from dataclasses import dataclass, field

import numpy as np

from stepwell.runtime.simulator.machine.batch import Batch
from stepwell.runtime.simulator.machine.binding import Source
from stepwell.runtime.simulator.machine.lanes import WARP, Array, Lanes
from stepwell.runtime.simulator.memory.pieces import Issuer
from stepwell.runtime.simulator.ptx.module import Instruction
from stepwell.support.errors import SimulationError

GROUP_WARPS = 4


@dataclass(frozen=True)
class Warps:
    """Lanes that are whole warps.

    Attributes:
        issuer: the lanes, 32 for a warp.
        blocks: int64 [w], the batch's number of each warp's block.
        numbers: int64 [w], number of each warp in its block.
    """

    issuer: Issuer
    blocks: Array
    numbers: Array

    @classmethod
    def of(cls, lanes: Lanes, ins: Instruction) -> "Warps":
        """Return the warps of lanes. Raises SimulationError where a warp is not whole."""
        issuer = Issuer.of(lanes, ins)
        if lanes.count % WARP:
            raise issuer.located(SimulationError("not all threads of a warp execute an .aligned instruction"))
        return cls(issuer, lanes.blocks[::WARP], lanes.thread_numbers[::WARP] // WARP)

    @property
    def groups(self) -> Array:
        """int64 [w]: a number for each warp's warpgroup."""
        numbers: Array = self.blocks * self.issuer.batch.padded_threads + self.numbers // GROUP_WARPS
        return numbers

    def uniform(self, lanes: Lanes, source: Source, what: str) -> Array:
        """Return an operand's value of each warp, which must be the same for all of its lanes."""
        values = lanes.gather_warps(source(lanes))
        different = (values != values[:, :1]).any(axis=1)
        if different.any():
            self._fail(different, f"the lanes of a warp differ in the {what}")
        same: Array = values[:, 0]
        return same

    def agree(self, facts: Array) -> None:
        """Refuse warps of a warpgroup that execute different instructions, or with different facts [fact, w]."""
        groups, (_, first, which) = self.groups, np.unique(self.groups, return_index=True, return_inverse=True)
        different = (facts != facts[:, first][:, which.reshape(-1)]).any(axis=0)
        if not different.any() and len(first) * GROUP_WARPS != len(groups):
            logs, line = _logs(self.issuer.batch), self.issuer.ins.line
            rows = zip(groups.tolist(), self.numbers.tolist(), facts.T.tolist(), strict=True)
            same = [logs.setdefault(group, _Log()).add(warp, (line, *values)) for group, warp, values in rows]
            different = ~np.array(same)
        if different.any():
            self._fail(different, "the warps of a warpgroup differ in the instruction or its matrix descriptors")

    def _fail(self, different: Array, message: str) -> None:
        raise self.issuer.located(SimulationError(message), int(np.flatnonzero(different)[0]) * WARP)


@dataclass
class _Log:
    """What the warps of a warpgroup did that do not run together: the first to come decides for the others."""

    done: dict[int, int] = field(default_factory=dict)
    start: int = 0
    facts: deque[tuple[int, ...]] = field(default_factory=deque)

    def add(self, warp: int, facts: tuple[int, ...]) -> bool:
        """Note a warp's next step; return whether it is that of the others."""
        number = self.done.get(warp, 0)
        self.done[warp] = number + 1
        if number == self.start + len(self.facts):
            self.facts.append(facts)
        same = self.facts[number - self.start] == facts
        if len(self.done) == GROUP_WARPS and min(self.done.values()) > self.start:
            self.facts.popleft()
            self.start += 1
        return same


def _logs(batch: Batch) -> dict[int, _Log]:
    logs: dict[int, _Log] = batch.state.setdefault("warpgroups", {})
    return logs
