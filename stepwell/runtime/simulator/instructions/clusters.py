"""Clusters: addresses in another block's shared memory, and the barrier of a cluster.

Source: PTX ISA, "mapa", "getctarank" and "barrier.cluster". A phase of the barrier completes when all threads of the
cluster that have not exited have arrived; each thread arrives, then waits, in turns.
"""

from typing import Any

import numpy as np

from stepwell.runtime.simulator.machine.batch import Batch
from stepwell.runtime.simulator.machine.binding import Binder
from stepwell.runtime.simulator.machine.lanes import Array, Lanes
from stepwell.runtime.simulator.machine.registry import Step, Wait, instruction
from stepwell.runtime.simulator.memory.pieces import Issuer
from stepwell.runtime.simulator.memory.windows import RANK_SHIFT, WINDOW_SHIFT, WINDOWS
from stepwell.runtime.simulator.ptx.module import Instruction, Symbol
from stepwell.support.errors import BarrierError, MemoryAccessError

_RANK_MASK = ((1 << 32) - 1) ^ ((1 << RANK_SHIFT) - 1)


def _checked(lanes: Lanes, ins: Instruction, addresses: Array) -> None:
    """Refuse generic addresses outside of shared memory."""
    outside = lanes.gather(addresses >> WINDOW_SHIFT != WINDOWS["shared"] >> WINDOW_SHIFT)
    if outside.any():
        error = MemoryAccessError("a generic address that is not one of shared memory")
        raise Issuer.of(lanes, ins).located(error, int(np.flatnonzero(outside)[0]))


@instruction("mapa", group="integer")
def _mapa(ins: Instruction, bind: Binder) -> Step:
    bind.only("shared::cluster", "u32", "u64")
    kind, generic = bind.type("u32", "u64"), not ins.has("shared::cluster")
    operand = bind.operand(1)
    target, rank = bind.destination(0, kind), bind.source(2, "u32")
    source = bind.source(operand, "u64" if isinstance(operand, Symbol) else kind)

    def step(lanes: Lanes) -> None:
        addresses, ranks = source(lanes).astype(np.int64), rank(lanes).astype(np.int64)
        cluster = lanes.batch.launch.cluster
        if generic:
            _checked(lanes, ins, addresses)
        beyond = lanes.gather(ranks) >= cluster
        if beyond.any():
            error = MemoryAccessError(f"a rank beyond the {cluster} blocks of a cluster")
            raise Issuer.of(lanes, ins).located(error, int(np.flatnonzero(beyond)[0]))
        target(lanes, ((addresses & ~np.int64(_RANK_MASK)) | (ranks << RANK_SHIFT)).astype(kind.dtype))

    return step


@instruction("getctarank", group="integer")
def _getctarank(ins: Instruction, bind: Binder) -> Step:
    bind.only("shared::cluster", "u32", "u64")
    kind, generic = bind.type("u32", "u64"), not ins.has("shared::cluster")
    target, source = bind.destination(0, "u32"), bind.source(1, kind)

    def step(lanes: Lanes) -> None:
        addresses = source(lanes).astype(np.int64)
        if generic:
            _checked(lanes, ins, addresses)
        target(lanes, ((addresses & _RANK_MASK) >> RANK_SHIFT).astype(np.uint32))

    return step


class ClusterBarriers:
    """The barriers of a batch's clusters."""

    def __init__(self, batch: Batch) -> None:
        self._size = batch.launch.cluster * batch.padded_threads
        threads = batch.count * batch.padded_threads
        self._phase = np.zeros(threads // self._size, np.int64)
        self._arrived = np.zeros(threads, np.bool_)
        # The phase that each thread arrived at last, and whether it has not waited for it yet.
        self._joined = np.zeros(threads, np.int64)
        self._owes = np.zeros(threads, np.bool_)

    @classmethod
    def of(cls, batch: Batch) -> "ClusterBarriers":
        """Return the batch's barriers."""
        found: Any = batch.state.get("barrier.cluster")
        if found is None:
            found = batch.state["barrier.cluster"] = cls(batch)
        barriers: ClusterBarriers = found
        return barriers

    def arrive(self, threads: Array) -> Array:
        """Count arrivals; returns the phases they belong to. Threads that owe a wait must not arrive."""
        self._arrived[threads] = True
        self._owes[threads] = True
        self._joined[threads] = self._phase[threads // self._size]
        return self._joined[threads]

    def owes(self, threads: Array) -> Array:
        """Return which threads have arrived and not waited."""
        return self._owes[threads]

    def complete(self, exited: Array) -> bool:
        """Begin the next phase of every cluster whose threads have all arrived or exited; whether there is one."""
        arrived = self._arrived.reshape(-1, self._size)
        full = (arrived | exited.reshape(-1, self._size)).all(axis=1) & arrived.any(axis=1)
        self._phase += full
        arrived[full] = False
        return bool(full.any())

    def wait(self, threads: Array) -> tuple[Array, Array]:
        """Return which threads go on, and the phase that each waits for."""
        joined = self._joined[threads]
        passed = self._phase[threads // self._size] > joined
        self._owes[threads[passed]] = False
        return passed, joined


def _tell(kind: str, lanes: Lanes, ins: Instruction, phases: Array, **data: bool) -> None:
    """Tell the observers of arriving or going on, one cluster and phase at a time."""
    if not lanes.batch.launch.observers:
        return
    clusters = (lanes.batch.first + lanes.blocks) // lanes.batch.launch.cluster
    keys = np.stack([clusters, phases])
    for cluster, phase in np.unique(keys, axis=1).T.tolist():
        some = lanes.subset((clusters == cluster) & (phases == phase))
        lanes.batch.tell(kind, some, ins, barrier="cluster", generation=phase, **data)


@instruction("barrier.cluster.arrive", group="barrier")
def _arrive(ins: Instruction, bind: Binder) -> Step:
    bind.only("cluster", "arrive", "release", "relaxed", "aligned")

    def step(lanes: Lanes) -> None:
        barriers, threads = ClusterBarriers.of(lanes.batch), lanes.gather(lanes.threads.numbers)
        twice = barriers.owes(threads)
        if twice.any():
            error = BarrierError("a thread arrives twice at the cluster's barrier without waiting in between")
            raise Issuer.of(lanes, ins).located(error, int(np.flatnonzero(twice)[0]))
        phases = barriers.arrive(threads)
        _tell("barrier.arrive", lanes, ins, phases, relaxed=ins.has("relaxed"))
        if barriers.complete(lanes.batch.exited()):
            lanes.batch.changed()

    return step


@instruction("barrier.cluster.wait", group="barrier", waits=True)
def _wait(ins: Instruction, bind: Binder) -> Step:
    bind.only("cluster", "wait", "acquire", "aligned")

    def step(lanes: Lanes) -> Wait | None:
        barriers, threads = ClusterBarriers.of(lanes.batch), lanes.gather(lanes.threads.numbers)
        if not barriers.owes(threads).all():
            error = BarrierError("a thread waits at the cluster's barrier at which it has not arrived")
            raise Issuer.of(lanes, ins).located(error, int(np.flatnonzero(~barriers.owes(threads))[0]))
        if barriers.complete(lanes.batch.exited()):
            lanes.batch.changed()
        passed, phases = barriers.wait(threads)
        if passed.any():
            _tell("barrier.pass", lanes.subset(passed), ins, phases[passed])
        return None if passed.all() else Wait(lanes.scatter(passed), "the cluster's barrier")

    return step
