"""How threads learn from each other: barriers, mbarriers, fences, and strong accesses to memory.

Source: PTX ISA, "Memory Consistency Model" (release and acquire patterns, synchronizes-with), "barrier", "mbarrier",
"membar".
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from stepwell.runtime.simulator.machine import observers
from stepwell.runtime.simulator.machine.observers import Event
from stepwell.runtime.simulator.matrices.arrays import Array
from stepwell.runtime.simulator.strict.clocks import Clocks, Moment
from stepwell.runtime.simulator.strict.works import Works

_RELEASES, _ACQUIRES = ("release", "acq_rel"), ("acquire", "acq_rel")


@dataclass
class _Pool:
    """Knowledge that can be had at one place: from threads of the same block, and from any."""

    near: dict[int, Moment] = field(default_factory=dict)
    far: Moment = field(default_factory=Moment)

    def add(self, block: int, moment: Moment, scope: str) -> None:
        self.near.setdefault(block, Moment()).join(moment)
        if scope != "cta":
            self.far.join(moment)

    def take(self, block: int, scope: str) -> Moment:
        own = self.near.get(block, Moment())
        if scope == "cta":
            return own
        both = own.copy()
        both.join(self.far)
        return both


@dataclass
class _Barrier:
    """A barrier of a block: what was released to each phase, and the phase that each waiting thread arrived in."""

    phase: int = 0
    arrived: int = 0
    moments: dict[int, Moment] = field(default_factory=dict)
    joined: dict[int, int] = field(default_factory=dict)


class Synchronisation:
    """What events and strong accesses do to the clocks of a launch."""

    def __init__(self, clocks: Clocks, works: Works) -> None:
        self._clocks = clocks
        self._works = works
        self._barriers: dict[tuple[int, int], _Barrier] = {}
        self._clusters: dict[tuple[int, int], Moment] = {}
        self._phases: dict[tuple[int, int], dict[int, Moment]] = {}
        self._places: dict[tuple[str, int, int], _Pool] = {}
        self._before_fence: dict[tuple[int, int], tuple[Moment, str]] = {}
        self._after_fence: dict[tuple[int, int], _Pool] = {}

    def arrive_at_cluster(self, event: Event, cluster: int) -> None:
        """Let threads arrive at the barrier of a cluster."""
        key = cluster, event.data["generation"]
        if event.data.get("relaxed"):
            return
        for block, threads in by_block(event.blocks, event.threads):
            self._clusters.setdefault(key, Moment()).join(self._clocks.release(block, threads))

    def leave_cluster(self, event: Event, cluster: int) -> None:
        """Let threads go on after the barrier of a cluster."""
        generation = event.data["generation"]
        moment = self._clusters.get((cluster, generation))
        self._clusters.pop((cluster, generation - 2), None)
        if moment is not None:
            for block, threads in by_block(event.blocks, event.threads):
                self._clocks.acquire(block, threads, moment)

    def arrive(self, event: Event) -> None:
        """Let threads of a block arrive at its barriers; those that will wait remember which phase it was."""
        block, numbers = int(event.blocks[0]), event.data["barriers"]
        for number in np.unique(numbers).tolist():
            chosen = numbers == number
            barrier = self._barriers.setdefault((block, number), _Barrier())
            threads = event.threads[chosen]
            barrier.moments.setdefault(barrier.phase, Moment()).join(self._clocks.release(block, threads))
            if event.data["waits"]:
                barrier.joined.update(dict.fromkeys(threads.tolist(), barrier.phase))
            barrier.arrived += len(threads)
            if barrier.arrived >= int(event.data["counts"][chosen][0]):
                barrier.arrived = 0
                barrier.phase += 1
                barrier.moments.pop(barrier.phase - 3, None)

    def leave(self, event: Event) -> None:
        """Let threads go on after a barrier of their block."""
        block, numbers = int(event.blocks[0]), event.data["barriers"]
        for number in np.unique(numbers).tolist():
            barrier, threads = self._barriers[block, number], event.threads[numbers == number]
            phases = np.array([barrier.joined[thread] for thread in threads.tolist()])
            for phase in np.unique(phases).tolist():
                self._clocks.acquire(block, threads[phases == phase], barrier.moments[phase])

    def converge(self, event: Event) -> None:
        """Order the lanes of a warp."""
        block, threads = int(event.blocks[0]), event.threads
        self._clocks.acquire(block, threads, self._clocks.release(block, threads))

    def fence(self, event: Event) -> None:
        """Begin a release and end an acquire, where the strong access is a relaxed one."""
        scope = event.data.get("scope", "")
        for block, threads in by_block(event.blocks, event.threads):
            for thread in threads:
                one = np.array([thread])
                pool = self._after_fence.pop((block, int(thread)), None)
                if pool is not None:
                    self._clocks.acquire(block, one, pool.take(block, scope))
                self._before_fence[block, int(thread)] = self._clocks.release(block, one), scope

    def strong(self, access: observers.Access) -> None:
        """Let a strong access synchronise: it reads what others released there, then releases in its turn."""
        for index, address in enumerate(access.addresses.tolist()):
            block, thread = int(access.blocks[index]), int(access.threads[index])
            key = access.space, int(access.owners[index]) if access.space == "shared" else 0, address
            if access.kind in ("load", "atomic"):
                self._take(key, block, thread, access.order, access.scope)
            if access.kind != "load":
                self._give(key, block, thread, access)

    def _take(self, key: tuple[str, int, int], block: int, thread: int, order: str, scope: str) -> None:
        pool = self._places.get(key)
        if pool is None:
            return
        if order in _ACQUIRES:
            self._clocks.acquire(block, np.array([thread]), pool.take(block, scope))
            return
        waiting = self._after_fence.setdefault((block, thread), _Pool())
        waiting.add(block, pool.take(block, scope), scope)

    def _give(self, key: tuple[str, int, int], block: int, thread: int, access: observers.Access) -> None:
        if access.kind == "store":
            # Only updates continue what was released before; a store begins anew.
            self._places.pop(key, None)
        scope = access.scope
        if access.order in _RELEASES:
            moment = self._clocks.release(block, np.array([thread]))
        else:
            fenced = self._before_fence.get((block, thread))
            if fenced is None:
                return
            moment, fence_scope = fenced
            scope = "cta" if "cta" in (scope, fence_scope) else scope
        self._places.setdefault(key, _Pool()).add(block, moment, scope)

    def mbarrier_arrive(self, event: Event) -> None:
        """Release to the phase that is under way; where copies arrive, what they did too."""
        works = event.data.get("works")
        for block, thread, key, phase in _places(event):
            moment = self._phase(key, phase)
            if works is not None:
                moment.join(self._works.completed(works, thread))
            elif event.data.get("order", "release") != "relaxed":
                moment.join(self._clocks.release(block, np.array([thread])))

    def mbarrier_complete(self, event: Event) -> None:
        """Let a copy report: what it did is known to those who see the phase complete."""
        done = self._works.completed([event.data["work"]])
        for _, _, key, phase in _places(event):
            self._phase(key, phase).join(done)

    def mbarrier_pass(self, event: Event) -> None:
        """Acquire what was released to a completed phase, and to those before."""
        if event.data.get("order", "acquire") == "relaxed":
            return
        groups: dict[tuple[tuple[int, int], int, int], list[int]] = {}
        for block, thread, key, phase in _places(event):
            groups.setdefault((key, phase, block), []).append(thread)
        for (key, phase, block), threads in groups.items():
            self._clocks.acquire(block, np.array(threads), self._phase(key, phase))

    def forget_mbarrier(self, owner: int, address: int) -> None:
        """Begin anew: the mbarrier is initialised or invalidated."""
        self._phases.pop((owner, address), None)

    def _phase(self, key: tuple[int, int], phase: int) -> Moment:
        """Return the knowledge of a phase of an mbarrier: it contains that of the phases before."""
        phases = self._phases.setdefault(key, {})
        if phase not in phases:
            earlier = max((number for number in phases if number < phase), default=None)
            phases[phase] = Moment() if earlier is None else phases[earlier].copy()
            for old in [number for number in phases if number < phase - 2]:
                del phases[old]
        return phases[phase]


def _places(event: Event) -> Iterator[tuple[int, int, tuple[int, int], int]]:
    """Yield (block, thread, mbarrier, phase) for the threads of an event about mbarriers."""
    names = event.data
    columns = (event.blocks, event.threads, names["owners"], names["addresses"], names["phases"])
    for block, thread, owner, address, phase in zip(*(column.tolist() for column in columns), strict=True):
        yield block, thread, (owner, address), phase


def by_block(blocks: Array, threads: Array) -> list[tuple[int, Array]]:
    """Return the threads of each block."""
    first = int(blocks[0])
    if (blocks == first).all():
        return [(first, threads)]
    return [(int(block), threads[blocks == block]) for block in np.unique(blocks)]
