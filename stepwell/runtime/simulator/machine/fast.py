"""The ``fast`` machine: all threads of a batch of blocks in lockstep.

Threads at the same instruction run together; of several such groups, the one that is furthest behind runs first, which
brings the sides of a branch together where they meet. Asynchronous work is done at once.
"""

import numpy as np

from stepwell.runtime.simulator.machine.batch import Batch
from stepwell.runtime.simulator.machine.binding import located
from stepwell.runtime.simulator.machine.deadlocks import deadlock
from stepwell.runtime.simulator.machine.lanes import WARP, Array, Lanes, Threads
from stepwell.runtime.simulator.machine.program import Control, Program
from stepwell.support.errors import SimulationError

_PATIENCE = 10_000
"""Backward branches that a group may take while others wait: one that waits for them in a loop must let them run."""


class FastMachine:
    """Runs one batch.

    Args:
        program: the decoded entry.
        batch: the blocks.
        threads: which of their threads; None for all.
    """

    def __init__(self, program: Program, batch: Batch, threads: Threads | None = None) -> None:
        self.program = program
        self.batch = batch
        if threads is None:
            threads = Threads(batch, np.arange(batch.count), np.arange(batch.padded_threads))
        self.threads = threads
        self.alive: Array = ~self.threads.exited
        self.waiting: dict[int, Array] = {0: self.alive}
        self.parked: dict[int, tuple[Array, str]] = {}
        self.seen = 0
        self.turns = 0
        count = len(program.steps) + 1
        self.issued = np.zeros((count, 2), np.int64)

    def run(self) -> None:
        """Run until every thread has ended. Raises a SimulationError."""
        with np.errstate(all="ignore"):
            while self.waiting or self.parked:
                if not self.waiting:
                    self._wake()
                pc, favoured = self._choose()
                mask = self.waiting.pop(pc)
                if pc in self.parked:
                    mask = mask | self.parked.pop(pc)[0]
                self._run(pc, self._lanes(mask), favoured)
        self._count()

    def _choose(self) -> tuple[int, bool]:
        """Return where to go on, and whether that group may run although another is behind it."""
        if self.turns < _PATIENCE or len(self.waiting) == 1:
            return min(self.waiting), False
        self.turns = 0
        return max(self.waiting), True

    def _lanes(self, mask: Array) -> Lanes:
        if mask is self.alive or np.array_equal(mask, self.alive):
            everyone = not bool(self.threads.exited.any())
            return Lanes(self.threads, None if everyone else mask, blend=False)
        needed = 0
        for pc in (*self.waiting, *self.parked):
            needed |= self.program.live[pc]
        return Lanes(self.threads, mask, needed=needed)

    def _run(self, pc: int, lanes: Lanes, favoured: bool) -> None:
        """Run a group until it ends, parts, parks, or comes to where others wait."""
        program, stops, steps, issued = self.program, self.program.stops, self.program.steps, self.issued
        size = len(steps)
        here = pc
        try:
            while True:
                stop = stops[pc]
                for here in range(pc, stop):
                    steps[here](lanes)  # type: ignore[misc]  # a run holds no control
                if stop > pc:
                    issued[pc] += lanes.warp_count, lanes.count
                    if stop in self.parked:
                        # Who came before waits for these threads: all go on together.
                        self._add(stop, self._mask(lanes))
                        return
                pc = here = stop
                if pc >= size:
                    self._exit(lanes)
                    return
                control = program.controls[pc]
                if control is not None:
                    issued[pc] += lanes.warp_count, lanes.count
                    following = self._control(pc, control, lanes)
                    if following is None:
                        return
                    if following <= pc:
                        self.turns += 1
                    pc = following
                if self._yields(pc, favoured) or (self.parked and pc in self.parked):
                    self._add(pc, self._mask(lanes))
                    return
        except SimulationError as error:
            raise located(error, program.entry.instructions[min(here, size - 1)], program.entry.name) from None

    def _yields(self, pc: int, favoured: bool) -> bool:
        if not self.waiting:
            return False
        return pc in self.waiting or self.turns >= _PATIENCE or (not favoured and pc > min(self.waiting))

    def _control(self, pc: int, control: Control, lanes: Lanes) -> int | None:
        """Execute a control instruction; return where all of the lanes go on, or None where they part or end."""
        executing = lanes
        if control.guard is not None:
            chosen = lanes.where(control.guard(lanes))
            if chosen is None:
                return pc + 1
            executing = chosen
            if executing is not lanes:
                self._add(pc + 1, self._mask(lanes) & ~self._mask(executing))
        match control.kind:
            case "branch":
                if executing is lanes:
                    return self._arrive(control.target, lanes)
                self._add(control.target, self._mask(executing))
                return None
            case "table":
                return self._table(control, executing)
            case "exit":
                self._exit(executing)
                return None
            case "trap":
                raise self._trap(executing)
        return self._meet(pc, control, executing)

    def _arrive(self, target: int, lanes: Lanes) -> int | None:
        if self.program.exits(target):
            self._exit(lanes)
            return None
        return target

    def _table(self, control: Control, lanes: Lanes) -> int | None:
        assert control.index is not None
        index = control.index(lanes)
        for number, target in enumerate(control.targets):
            chosen = lanes.where(index == number)
            if chosen is not None:
                self._add(target, self._mask(chosen))
        outside = lanes.where(index >= len(control.targets))
        if outside is not None:
            raise self._at(outside, "a branch by an index beyond its list of targets")
        return None

    def _meet(self, pc: int, control: Control, lanes: Lanes) -> int | None:
        ready = lanes
        if (control.whole_warps or control.index is not None) and lanes.blend:
            gathered = self._gathered(control, lanes)
            if gathered is not lanes:
                self._park(pc, self._mask(lanes) & ~self._mask(gathered), "the other threads of the warp")
            if gathered is None:
                return None
            ready = gathered
        assert control.step is not None
        wait = control.step(ready)
        if wait is None:
            if ready is lanes:
                return pc + 1
            self._add(pc + 1, self._mask(ready))
            return None
        passing = ready.where(wait.ready)
        if passing is ready and ready is lanes:
            return pc + 1
        if passing is not ready:
            self._park(pc, self._mask(ready) & ~self._mask(passing), wait.reason)
        if passing is not None:
            self._add(pc + 1, self._mask(passing))
        return None

    def _gathered(self, control: Control, lanes: Lanes) -> Lanes | None:
        """Return those of the lanes whose partners are all among them."""
        bits = np.uint32(1) << np.arange(WARP, dtype=np.uint32)
        present = np.where(self._mask(lanes).reshape(-1, WARP), bits, np.uint32(0)).sum(axis=1, dtype=np.uint32)
        alive = np.where((~self.threads.exited).reshape(-1, WARP), bits, np.uint32(0)).sum(axis=1, dtype=np.uint32)
        missing = (alive & ~present)[:, None]
        if control.index is not None:
            members = np.broadcast_to(control.index(lanes), lanes.shape).reshape(-1, WARP)
            missing = missing & members
        ready = np.broadcast_to(missing == 0, (len(alive), WARP)).reshape(lanes.shape)
        return lanes.where(ready)

    def _mask(self, lanes: Lanes | None) -> Array:
        if lanes is None:
            return np.zeros((1, 1), bool)
        return self.alive if lanes.mask is None else np.broadcast_to(lanes.mask, self.threads.shape)

    def _add(self, pc: int, mask: Array) -> None:
        if self.program.exits(pc):
            self._exit(Lanes(self.threads, mask))
            return
        known = self.waiting.get(pc)
        self.waiting[pc] = mask if known is None else known | mask

    def _park(self, pc: int, mask: Array, reason: str) -> None:
        known = self.parked.get(pc)
        self.parked[pc] = (mask if known is None else known[0] | mask, reason)

    def _wake(self) -> None:
        """Let those that wait try again, if anything happened since the last time."""
        if self.seen == self.batch.progress:
            raise deadlock(self.program.entry, self.threads, self.parked)
        self.seen = self.batch.progress
        for pc, (mask, _) in self.parked.items():
            self.waiting[pc] = mask
        self.parked = {}

    def _exit(self, lanes: Lanes) -> None:
        self.threads.exited = self.threads.exited | self._mask(lanes)
        self.alive = ~self.threads.exited
        self.batch.changed()

    def _trap(self, lanes: Lanes) -> SimulationError:
        return self._at(lanes, "a trap instruction was executed")

    def _at(self, lanes: Lanes, message: str) -> SimulationError:
        error = SimulationError(message)
        error.block = int(self.batch.grid_block(lanes.blocks)[0])
        error.thread = int(lanes.thread_numbers[0])
        return error

    def _count(self) -> None:
        counts, program = self.batch.launch.counts, self.program
        for pc in np.flatnonzero(self.issued[:, 0]).tolist():
            stop = program.stops[pc]
            warps, threads = map(int, self.issued[pc])
            for group, number in program.tally(pc, max(stop, pc + 1)).items():
                counts.warps[group] += number * warps
                counts.threads[group] += number * threads
