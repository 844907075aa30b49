"""The strict machine: warps in a random order, asynchronous work as late as possible, and everything watched."""

from random import Random

import numpy as np

from stepwell.runtime.simulator.machine.async_work import AsyncWork
from stepwell.runtime.simulator.machine.batch import Batch, Launch
from stepwell.runtime.simulator.machine.lanes import WARP
from stepwell.runtime.simulator.machine.program import Program
from stepwell.runtime.simulator.strict.lateness import LateQueue
from stepwell.runtime.simulator.strict.registers import RegisterWatch
from stepwell.runtime.simulator.strict.stalls import stalled, unfinished
from stepwell.runtime.simulator.strict.warps import GROUP, Course, Warp
from stepwell.runtime.simulator.strict.watcher import Watcher
from stepwell.support.errors import DeadlockError

RESIDENT_THREADS = 8192
"""Threads whose blocks run together, in whole clusters; later blocks begin when these have ended."""

PATIENCE = 20_000
"""Turns without any progress of a barrier or of copies after which copies go on although threads still spin."""

TURNS = 20_000_000
"""Turns after which a launch counts as endless."""

_FAVOUR, _LONGEST = 0.02, 100
"""How often a warp gets turns in a row, and how many at most."""

_SLOW, _SLOWNESS = 0.5, 0.1
"""How many warps are slow for the whole run, and how often such a one is let run when it could."""


def run_strict(program: Program, launch: Launch, seed: int) -> None:
    """Run a launch, one warp at a time.

    Args:
        program: its entry, decoded.
        launch: what to run; a watcher is added to its observers.
        seed: decides about all orders.
    """
    random, watcher = Random(seed), Watcher(launch)
    launch.observers = (*launch.observers, watcher)
    course = Course.of(program)
    together = max(RESIDENT_THREADS // (launch.threads * launch.cluster), 1) * launch.cluster
    turns = TURNS
    for first in range(0, launch.blocks, together):
        count = min(together, launch.blocks - first)
        turns = _Residents(course, launch, watcher, random, first, count).run(turns)


class _Residents:
    """Blocks that run together."""

    def __init__(
        self, course: Course, launch: Launch, watcher: Watcher, random: Random, first: int, count: int
    ) -> None:
        self._launch, self._watcher, self._random = launch, watcher, random
        self._queue = LateQueue(random, self._begun)
        self._batch = Batch(launch, first, count, self._queue)
        watcher.begin_batch(first)
        for block in range(count):
            watcher.begin_block(first + block, self._batch.memory.shared_bytes)
        warps = self._batch.padded_threads // WARP
        self._warps = {
            (block, number): Warp(
                course, self._batch, block, number, random, RegisterWatch(course.rules, self._queue.advance)
            )
            for block in range(count)
            for number in range(warps)
        }
        for (block, number), warp in self._warps.items():
            first_of_group = number // GROUP * GROUP
            members = range(first_of_group, min(first_of_group + GROUP, warps))
            warp.group = [self._warps[block, member] for member in members]
        self._left = [warps] * count
        self._slow = {warp for warp in self._warps.values() if random.random() < _SLOW}
        self._favourite, self._streak = next(iter(self._warps.values())), 0

    def _begun(self, work: AsyncWork) -> None:
        if work.data["mechanism"] == "wgmma":
            self._warps[work.block, work.thread // WARP].watch.begun(work)

    def run(self, turns: int) -> int:
        """Run the blocks to their end; return the turns that are left."""
        live, quiet, seen = list(self._warps.values()), 0, -1
        with np.errstate(all="ignore"):
            while live:
                turns -= 1
                if turns < 0:
                    raise self._endless(live)
                warp = self._choose(live)
                if warp is None or quiet > PATIENCE:
                    quiet = 0
                    if not self._queue.finish_one() and warp is None:
                        raise stalled(self._launch.entry, live)
                    continue
                warp.turn()
                quiet, seen = (quiet + 1, seen) if seen == self._batch.progress else (0, self._batch.progress)
                if warp.ended:
                    live.remove(warp)
                    self._end(warp)
            # What nobody waits for is done before the next launch: writes to global memory.
            self._queue.finish(self._queue.pending())
        return turns

    def _choose(self, live: list[Warp]) -> Warp | None:
        """Return a warp that can run: now and then the same one for a while, so that others fall behind; else any."""
        if self._streak > 0 and self._favourite.runnable and not self._favourite.ended:
            self._streak -= 1
            return self._favourite
        if self._random.random() < _FAVOUR:
            self._favourite, self._streak = self._random.choice(live), self._random.randrange(_LONGEST)
        for _ in range(8):
            warp = live[int(self._random.random() * len(live))]
            if warp.runnable and (warp not in self._slow or self._random.random() < _SLOWNESS):
                return warp
        able = [warp for warp in live if warp.runnable]
        return self._random.choice(able) if able else None

    def _end(self, warp: Warp) -> None:
        warp.finish()
        self._left[warp.block] -= 1
        if self._left[warp.block] == 0:
            problem = unfinished(self._launch.entry, self._batch, warp.block, self._queue.pending())
            if problem is not None:
                raise problem
            self._watcher.end_block(self._batch.first + warp.block)

    def _endless(self, live: list[Warp]) -> DeadlockError:
        return DeadlockError(f"the kernel does not end: {len(live)} warps still run")
