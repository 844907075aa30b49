"""Asynchronous work, done as late as it may be: when an instruction waits for it, or when nothing else can run."""

from collections.abc import Callable, Iterable
from random import Random

from stepwell.runtime.simulator.machine.async_work import AsyncWork

AWAITED = "awaited"
"""Fact of a product that its warp waited for: the registers may be used again."""

ORDER = "order"
"""Fact of a product: how many its warp began so far, this one included."""

WARPGROUP = 128


class LateQueue:
    """Keeps work until it is demanded.

    Args:
        random: decides about orders.
        submitted: told of every new piece of work.
    """

    def __init__(self, random: Random, submitted: Callable[[AsyncWork], None]) -> None:
        self._random = random
        self._submitted = submitted
        self._pending: list[AsyncWork] = []

    def submit(self, work: AsyncWork) -> None:
        """Keep it."""
        self._pending.append(work)
        self._submitted(work)

    def finish(self, works: Iterable[AsyncWork]) -> None:
        """Do what an instruction waits for: copies in any order, products as they were begun."""
        due = [part for work in works for part in self._parts(work)]
        if due and due[0].data["mechanism"] != "wgmma":
            self._random.shuffle(due)
        self._perform(due)

    def advance(self, works: Iterable[AsyncWork]) -> None:
        """Do work that nobody waits for yet."""
        self._perform([part for work in works for part in self._parts(work)])

    def finish_one(self) -> bool:
        """Do some work that completes by itself; return whether there was any."""
        candidates = [work for work in self.pending() if work.data["mechanism"] == "mbarrier"]
        if not candidates:
            return False
        self._perform([candidates[self._random.randrange(len(candidates))]])
        return True

    def pending(self) -> list[AsyncWork]:
        """Return what is under way, oldest first."""
        self._pending = [work for work in self._pending if not work.done]
        return list(self._pending)

    def _parts(self, work: AsyncWork) -> list[AsyncWork]:
        """Return a piece of work with what is done no later: all parts of a product, and of those before it."""
        if work.data["mechanism"] != "wgmma":
            return [work]
        group = work.block, work.thread // WARPGROUP
        parts = [
            other
            for other in self.pending()
            if other.data["mechanism"] == "wgmma"
            and (other.block, other.thread // WARPGROUP) == group
            and other.data[ORDER] <= work.data[ORDER]
        ]
        return sorted(parts, key=lambda part: part.data[ORDER])

    @staticmethod
    def _perform(works: list[AsyncWork]) -> None:
        for work in works:
            work.finish()
