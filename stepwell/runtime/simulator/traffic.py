"""Counts what the memory system of a GPU would do for the accesses of a launch: an observer, for who asks for it.

Global memory is moved in sectors of 32 bytes: those that a warp's access touches are counted, each once. Shared memory
has 32 banks of 4 bytes: a warp's access takes as many passes as the most wanted bank has different words to give. An
access of 8 or 16 bytes is made by halves or quarters of the warp. Source: CUDA C++ Programming Guide, "Compute
Capability 5.x: Shared Memory"; for sectors, the profiling guide's memory tables.
"""

import numpy as np

from stepwell.runtime.simulator.counts import Counts
from stepwell.runtime.simulator.machine.lanes import WARP, Array, Lanes
from stepwell.runtime.simulator.machine.observers import Access, Event
from stepwell.runtime.simulator.ptx.module import Instruction

SECTOR = 32
_BANKS, _WORD = 32, 4


class Traffic:
    """Adds sectors and passes to counts.

    Args:
        counts: where they are added.
    """

    def __init__(self, counts: Counts) -> None:
        self.counts = counts

    def access(self, access: Access) -> None:
        """Count an access."""
        if access.proxy != "generic" or not len(access.addresses):
            return
        warps = access.blocks * (1 << 20) + access.threads // WARP
        if access.space == "global":
            self.counts.sectors[access.kind] += _sectors(warps, access.addresses, access.size)
        elif access.space == "shared":
            passes, least = _passes(warps, access.threads % WARP, access.addresses, access.size)
            self.counts.passes[access.kind] += passes
            self.counts.least_passes[access.kind] += least

    def event(self, event: Event) -> None:
        """Nothing that synchronises moves bytes."""

    def executed(self, lanes: Lanes, instruction: Instruction) -> None:
        """Instructions are counted by the machine."""


def _sectors(warps: Array, addresses: Array, size: int) -> int:
    """Return how many different sectors the accesses of each warp touch, in total."""
    first, last = addresses // SECTOR, (addresses + size - 1) // SECTOR
    span = int((last - first).max()) + 1
    touched = [np.minimum(first + step, last) for step in range(span)]
    pairs = np.stack([np.tile(warps, span), np.concatenate(touched)], axis=1)
    return len(np.unique(pairs, axis=0))


def _passes(warps: Array, lanes: Array, addresses: Array, size: int) -> tuple[int, int]:
    """Return how many passes the accesses of each warp take, and how many they would take without conflicts."""
    words = max(size // _WORD, 1)
    together = WARP // words
    groups = np.unique(np.stack([warps, lanes // together], axis=1), axis=0, return_inverse=True)[1].reshape(-1)
    number = np.tile(groups, words)
    word = np.concatenate([addresses // _WORD + step for step in range(words)])
    wanted = np.unique(np.stack([number, word], axis=1), axis=0)
    count = int(groups.max()) + 1
    table = np.zeros((count, _BANKS), np.int64)
    np.add.at(table, (wanted[:, 0], wanted[:, 1] % _BANKS), 1)
    return int(table.max(axis=1).sum()), count
