"""Groups of asynchronous work, as cp.async, cp.async.bulk and wgmma commit them and wait for them.

An agent (a thread, or a warp for wgmma) numbers its groups by counting its commits: work that it begins belongs to the group
that its next commit closes. Waiting with n groups allowed demands the work of all but the n newest closed groups.
"""

import numpy as np

from stepwell.runtime.simulator.machine.async_work import AsyncQueue, AsyncWork
from stepwell.runtime.simulator.machine.lanes import Array


class AsyncGroups:
    """The groups of one kind of all agents of a batch.

    Args:
        agents: how many there are.
        queue: who decides when work is done.
    """

    def __init__(self, agents: int, queue: AsyncQueue) -> None:
        self._queue = queue
        self._closed = np.zeros(agents, np.int64)
        self._open: list[tuple[AsyncWork, Array, Array]] = []

    def begin(self, work: AsyncWork, agents: Array) -> None:
        """Submit work on behalf of agents, as part of the group that each of them fills."""
        self._queue.submit(work)
        if not work.done:
            self._open.append((work, agents, self._closed[agents]))

    def commit(self, agents: Array) -> Array:
        """Close the group that each agent fills, empty or not; returns its number."""
        number = self._closed[agents]
        self._closed[agents] += 1
        return number

    def wait(self, agents: Array, allowed: int) -> None:
        """Have the work of all but the ``allowed`` newest closed groups of these agents done."""
        self._finish(agents, self._closed - allowed)

    def wait_all(self, agents: Array) -> None:
        """Have all work of these agents done, committed or not."""
        self._finish(agents, self._closed + 1)

    def pending(self, agents: Array) -> list[AsyncWork]:
        """Return the work of these agents that is under way, oldest first."""
        return [work for work, owners, _ in self._open if not work.done and np.isin(owners, agents).any()]

    def _finish(self, agents: Array, limits: Array) -> None:
        """Finish the work of these agents in groups below each one's limit."""
        if not self._open:
            return
        waiting = np.zeros(len(limits), np.bool_)
        waiting[agents] = True
        due = [work for work, owners, groups in self._open if (waiting[owners] & (groups < limits[owners])).any()]
        self._queue.finish([work for work in due if not work.done])
        self._open = [entry for entry in self._open if not entry[0].done]
