"""The mbarrier objects of a batch, by where they lie."""

from typing import Any

import numpy as np

from stepwell.runtime.simulator.machine.async_work import AsyncWork
from stepwell.runtime.simulator.machine.batch import Batch
from stepwell.runtime.simulator.machine.lanes import Array
from stepwell.runtime.simulator.machine.observers import Event
from stepwell.runtime.simulator.memory.barrier_objects import BarrierObject
from stepwell.runtime.simulator.memory.pieces import Issuer
from stepwell.support.errors import BarrierError, SimulationError


class BarrierTable:
    """Finds mbarrier objects; changes to one wake who waits.

    Objects are known by (block of the batch, address within its shared memory).
    """

    def __init__(self, batch: Batch) -> None:
        self._batch = batch
        self._objects: dict[tuple[int, int], BarrierObject] = {}

    @classmethod
    def of(cls, batch: Batch) -> "BarrierTable":
        """Return the batch's table."""
        table = batch.state.get("mbarriers")
        if table is None:
            table = batch.state["mbarriers"] = cls(batch)
        return table

    def create(self, owner: int, address: int, count: int) -> None:
        """Make an object; raises BarrierError where there is one, or for a wrong count."""
        if (owner, address) in self._objects:
            raise BarrierError(
                f"the mbarrier at shared memory byte {address:#x} is initialised again without mbarrier.inval"
            )
        self._objects[owner, address] = BarrierObject.with_count(count)

    def remove(self, owner: int, address: int) -> None:
        """End an object's life; raises BarrierError where there is none."""
        self.find(owner, address)
        del self._objects[owner, address]

    def get(self, owner: int, address: int) -> BarrierObject | None:
        """Return an object, or None where there is none."""
        return self._objects.get((owner, address))

    def find(self, owner: int, address: int) -> BarrierObject:
        """Return an object; raises BarrierError where there is none."""
        found = self.get(owner, address)
        if found is None:
            block = self._batch.first + owner
            raise BarrierError(
                f"there is no initialised mbarrier at byte {address:#x} of block {block}'s shared memory"
            )
        return found

    def report(self, issuer: Issuer, owner: int, address: int, nbytes: int, work: AsyncWork) -> None:
        """Lower an object's tx-count because work is done."""
        try:
            barrier = self.find(owner, address)
            tell(issuer, "mbarrier.complete", *_one(owner, address, barrier), work=work, bytes=nbytes)
            barrier.report(nbytes)
        except SimulationError as error:
            raise issuer.located(error) from None
        self._batch.changed()

    def promise(self, issuer: Issuer, owner: int, address: int) -> None:
        """Count on an arrival that copies will make."""
        try:
            self.find(owner, address).promise()
        except SimulationError as error:
            raise issuer.located(error) from None

    def arrive(self, issuer: Issuer, owner: int, address: int, works: list[AsyncWork]) -> None:
        """Count the arrival that copies make when they are done."""
        try:
            barrier = self.find(owner, address)
            tell(issuer, "mbarrier.arrive", *_one(owner, address, barrier), order="relaxed", scope="cta", works=works)
            barrier.arrive()
        except SimulationError as error:
            raise issuer.located(error) from None
        self._batch.changed()


def _one(owner: int, address: int, barrier: BarrierObject) -> tuple[Array, Array, Array]:
    return np.array([owner]), np.array([address]), np.array([barrier.phase])


def tell(issuer: Issuer, kind: str, owners: Array, addresses: Array, phases: Array, **data: Any) -> None:
    """Tell the observers what happens to mbarriers: one row for a thread.

    Args:
        issuer: the threads that do it.
        kind: "mbarrier.init", "mbarrier.arrive", ...
        owners: int64 [n], blocks of the batch that own the objects.
        addresses: int64 [n], where in the owners' shared memory they lie.
        phases: int64 [n], number of the phase that it concerns: those completed before.
        data: more facts.
    """
    batch = issuer.batch
    if not batch.launch.observers:
        return
    facts = {"owners": batch.grid_block(owners), "addresses": addresses, "phases": phases, **data}
    event = Event(kind, batch.grid_block(issuer.blocks), issuer.threads, issuer.ins, facts)
    for observer in batch.launch.observers:
        observer.event(event)
