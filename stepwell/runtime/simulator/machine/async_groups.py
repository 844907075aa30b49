"""Groups of asynchronous work, as cp.async, cp.async.bulk and wgmma commit them and wait for them.

An agent (a thread, or a warp for wgmma) numbers its groups by counting its commits: work that it begins belongs to the
group that its next commit closes. Waiting with n groups allowed demands the work of all but the n newest closed groups.
"""

from dataclasses import dataclass

import numpy as np

from stepwell.runtime.simulator.machine.async_work import AsyncQueue, AsyncWork
from stepwell.runtime.simulator.machine.lanes import WARP, Array


@dataclass(eq=False)
class _Entry:
    """Work in groups: of which agents, in which group of each, and which of them have not waited for it."""

    work: AsyncWork
    agents: Array
    groups: Array
    unaware: Array


class AsyncGroups:
    """The groups of one kind of all agents of a batch.

    Args:
        agents: how many there are.
        queue: who decides when work is done.
        near: how many neighbouring agents mostly act together: 32 threads, or one warp.
    """

    def __init__(self, agents: int, queue: AsyncQueue, near: int = WARP) -> None:
        self._queue = queue
        self._span = near
        self._closed = np.zeros(agents, np.int64)
        # Found by the number of such a neighbourhood, for a wait concerns few of all agents.
        self._entries: dict[int, list[_Entry]] = {}

    def begin(self, work: AsyncWork, agents: Array) -> None:
        """Submit work on behalf of agents, as part of the group that each of them fills."""
        self._queue.submit(work)
        if work.done:
            return
        entry = _Entry(work, agents, self._closed[agents], np.ones(len(agents), np.bool_))
        for place in self._places(agents):
            self._entries.setdefault(place, []).append(entry)

    def commit(self, agents: Array) -> None:
        """Close the group that each agent fills, empty or not."""
        self._closed[agents] += 1

    def wait(self, agents: Array, allowed: int) -> list[AsyncWork]:
        """Have the work of all but the ``allowed`` newest closed groups of these agents done; returns it."""
        return self._finish(agents, -allowed) if self._entries else []

    def wait_all(self, agents: Array) -> list[AsyncWork]:
        """Have all work of these agents done, committed or not; returns it."""
        return self._finish(agents, 1) if self._entries else []

    def pending(self, agents: Array) -> list[AsyncWork]:
        """Return the work of these agents that is under way, oldest first."""
        return [
            entry.work for entry in self._near(agents) if np.isin(entry.agents, agents).any() and not entry.work.done
        ]

    def _places(self, agents: Array) -> list[int]:
        """Return the neighbourhoods of agents, which are in ascending order."""
        first, last = int(agents[0]) // self._span, int(agents[-1]) // self._span
        return [first] if first == last else np.unique(agents // self._span).tolist()

    def _near(self, agents: Array) -> list[_Entry]:
        places = self._places(agents)
        near = [entry for place in places for entry in self._entries.get(place, ())]
        return near if len(places) == 1 else list(dict.fromkeys(near))

    def _finish(self, agents: Array, margin: int) -> list[AsyncWork]:
        """Finish the work in groups below the number of closed ones plus a margin, as far as it concerns the agents."""
        waiting = np.zeros(len(self._closed), np.bool_)
        waiting[agents] = True
        due = []
        for entry in self._near(agents):
            known = waiting[entry.agents] & (entry.groups < self._closed[entry.agents] + margin)
            if (known & entry.unaware).any():
                due.append(entry.work)
                entry.unaware &= ~known
        self._queue.finish([work for work in due if not work.done])
        for place in self._places(agents):
            left = [entry for entry in self._entries.get(place, ()) if entry.unaware.any()]
            if left:
                self._entries[place] = left
            else:
                self._entries.pop(place, None)
        return due
