"""What a launch tells those who watch it: accesses to memory, and events that order them."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import numpy.typing as npt

from stepwell.runtime.simulator.ptx.module import Instruction

if TYPE_CHECKING:
    from stepwell.runtime.simulator.machine.lanes import Lanes

Integers = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Access:
    """One access to memory by each of some threads, before it takes place.

    Attributes:
        kind: "load", "store", "atomic" (both at once) or "reduce" (an atomic without result).
        space: "global" (constants too), "shared" or "local".
        addresses: int64 [n]; in shared memory, the byte within the block's own memory.
        size: bytes accessed at each address.
        owners: int64 [n], number in the grid of the block whose shared memory is accessed; that of the thread
            otherwise.
        blocks, threads: int64 [n], number of the acting thread's block in the grid, and of the thread in its block.
        proxy: "generic", "async" or "tensormap".
        order: "weak", "volatile", "relaxed", "acquire", "release" or "acq_rel".
        scope: "cta", "cluster", "gpu", "sys", or "" for a weak access.
        instruction: the one that asked for it.
        data: what a family of instructions wants a watcher to know.
    """

    kind: str
    space: str
    addresses: Integers
    size: int
    owners: Integers
    blocks: Integers
    threads: Integers
    instruction: Instruction
    proxy: str = "generic"
    order: str = "weak"
    scope: str = ""
    data: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Event:
    """Something that orders accesses, or may: told when it takes place.

    Attributes:
        kind: "barrier.arrive", "barrier.pass", "warp.sync", "fence", "mbarrier.arrive", "mbarrier.pass", "async.issue",
            "async.done", "async.wait", ...: whatever the instructions' files define.
        blocks, threads: int64 [n], the threads concerned.
        instruction: the one that caused it.
        data: facts by name: the barrier's number, the fence's scope, ...
    """

    kind: str
    blocks: Integers
    threads: Integers
    instruction: Instruction
    data: dict[str, Any] = field(default_factory=dict)


class Observer(Protocol):
    """Watches a launch; ``Simulator`` calls it where one is installed, and may not rely on it."""

    def access(self, access: Access) -> None:
        """See an access before it takes place; raising a SimulationError stops the launch."""

    def event(self, event: Event) -> None:
        """See an event; raising a SimulationError stops the launch."""

    def executed(self, lanes: "Lanes", instruction: Instruction) -> None:
        """See an instruction before the lanes execute it; only the strict scheduler tells."""
