"""Work that goes on beside the threads: asynchronous copies, bulk copies, matrix products.

An instruction makes an ``AsyncWork`` and submits it. The ``fast`` machine finishes it at once; the strict one keeps it
until an instruction that waits demands it (``AsyncQueue.finish``) or until nothing else can run.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Protocol

from stepwell.runtime.simulator.ptx.module import Instruction


@dataclass(eq=False)
class AsyncWork:
    """Something under way.

    Attributes:
        perform: does it: moves the bytes, then tells whoever waits (a group's count, an mbarrier's transaction count).
        instruction: the one that began it.
        block: number in the batch of the block whose thread began it.
        thread: number of that thread (of the first of the warp) in its block.
        data: what its family wants to remember.
        done: whether it took place.
    """

    perform: Callable[[], None]
    instruction: Instruction
    block: int
    thread: int
    data: dict[str, Any] = field(default_factory=dict)
    done: bool = False

    def finish(self) -> None:
        """Do it now, once."""
        if not self.done:
            self.done = True
            self.perform()


class AsyncQueue(Protocol):
    """Who decides when submitted work is done."""

    def submit(self, work: AsyncWork) -> None:
        """Take over a piece of work."""

    def finish(self, works: Iterable[AsyncWork]) -> None:
        """Have these done before returning: an instruction waits for them."""


class EagerQueue:
    """Does everything at once."""

    def submit(self, work: AsyncWork) -> None:
        """Do it."""
        work.finish()

    def finish(self, works: Iterable[AsyncWork]) -> None:
        """Return: nothing is ever under way."""
