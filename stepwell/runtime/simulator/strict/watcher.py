"""Watches a strict launch: turns what it is told into knowledge and checks, and findings into errors."""

import numpy as np

from stepwell.runtime.simulator.machine import observers
from stepwell.runtime.simulator.machine.batch import Launch
from stepwell.runtime.simulator.machine.lanes import Lanes
from stepwell.runtime.simulator.memory.global_memory import BASE
from stepwell.runtime.simulator.ptx.module import Instruction
from stepwell.runtime.simulator.ptx.types import TYPES
from stepwell.runtime.simulator.strict.clocks import MAX_BLOCKS, Clocks
from stepwell.runtime.simulator.strict.lateness import AWAITED
from stepwell.runtime.simulator.strict.races import Access, RaceChecker
from stepwell.runtime.simulator.strict.reports import Reports
from stepwell.runtime.simulator.strict.shadow import ASYNC, ATOMIC, LOCAL_SCOPE, WRITES, Shadow
from stepwell.runtime.simulator.strict.synchronisation import Synchronisation, by_block
from stepwell.runtime.simulator.strict.works import Works
from stepwell.support.errors import BarrierError, SimulationError

_MBARRIER_BYTES = 8
_PROXY_WORDS = ("bulk", "wgmma", "tensormap")


class Watcher:
    """The observer of a strict launch.

    Args:
        launch: what is watched; its blocks come and go by ``begin_block`` and ``end_block``.
    """

    def __init__(self, launch: Launch) -> None:
        if launch.blocks > MAX_BLOCKS:
            raise SimulationError(f"strict mode runs at most {MAX_BLOCKS} blocks, not {launch.blocks}")
        self._launch = launch
        code = launch.entry.instructions
        proxies = any(word in ins.opcode for ins in code for word in _PROXY_WORDS)
        self._clocks = Clocks(launch.threads, proxies=proxies)
        self._works = Works(self._clocks)
        self._reports = Reports(launch.entry, self._works)
        self._checker = RaceChecker(self._clocks, self._reports)
        self._sync = Synchronisation(self._clocks, self._works)
        self._places = {id(ins): number for number, ins in enumerate(code)}
        self._granule = min((_narrowest(ins) for ins in code), default=4)
        self._global = Shadow("global memory", BASE, launch.memory.used, self._granule)
        self._shared: dict[int, Shadow] = {}
        self._mbarriers: dict[tuple[int, int], tuple[int, int]] = {}
        self._span = (1 << 62, 0)
        self._published: set[tuple[int, int]] = set()

    def begin_batch(self, first: int) -> None:
        """Let blocks of the grid begin that run together, from this one on."""
        self._works.first = first

    def begin_block(self, block: int, shared_bytes: int) -> None:
        """Let a block of the grid begin."""
        self._clocks.add_block(block)
        self._shared[block] = Shadow(f"the shared memory of block {block}", 0, shared_bytes, self._granule)

    def end_block(self, block: int) -> None:
        """Let a block of the grid end."""
        self._clocks.remove_block(block)
        del self._shared[block]

    def executed(self, lanes: Lanes, instruction: Instruction) -> None:
        """See nothing here: the scheduler watches registers itself."""

    def access(self, access: observers.Access) -> None:
        """Check an access, and let a strong one synchronise."""
        if access.space not in ("global", "shared"):
            return
        if "work" in access.data:
            self._check_work(access)
            return
        strong = access.order != "weak"
        flags = (ATOMIC if strong else 0) | (WRITES if access.kind != "load" else 0)
        if strong and access.scope == "cta":
            flags |= LOCAL_SCOPE
        block, place = int(access.blocks[0]), self._places[id(access.instruction)]
        columns = self._clocks.thread_columns(block, access.threads)
        epoch = self._clocks.epoch(block, int(access.threads[0]))
        events = np.full(len(columns), epoch, np.int32)
        checked = Access(block, access.threads, place, columns, events, flags, converged=True)
        self._check(access, checked)
        if strong:
            self._sync.strong(access)

    def _check_work(self, access: observers.Access) -> None:
        """Check an access of asynchronous work, where it is issued."""
        block, place = int(access.blocks[0]), self._places[id(access.instruction)]
        flags = (ASYNC if access.proxy == "async" else 0) | (WRITES if access.kind != "load" else 0)
        columns, events = self._works.begin(access)
        moment = self._clocks.common(block, access.threads) if access.data.get("together") else None
        if flags & WRITES and "barriers" in access.data["work"].data:
            self._check_mbarrier(access, place)
        self._check(access, Access(block, access.threads, place, columns, events, flags, moment))

    def _check(self, access: observers.Access, checked: Access) -> None:
        for shadow, chosen in self._regions(access):
            addresses, part = access.addresses, checked
            if chosen is not None:
                addresses = addresses[chosen]
                if checked.moment is None:
                    part = checked.rows(chosen)
            if not shadow.covers(addresses, access.size):
                # The access itself is refused, right after this.
                return
            shadow.fit(addresses, access.size)
            granules = shadow.granules(addresses, access.size)
            if checked.moment is not None:
                granules = granules.reshape(1, -1)
            if self._mbarriers and shadow is not self._global:
                self._refuse_overlap(access, addresses)
            if checked.flags & WRITES:
                self._checker.write(shadow, granules, part)
            else:
                self._checker.read(shadow, granules, part)

    def _regions(self, access: observers.Access) -> list[tuple[Shadow, np.ndarray | None]]:
        """Return the shadows that an access touches, each with the rows that do; None for all."""
        if access.space == "global":
            return [(self._global, None)]
        first = int(access.owners[0])
        if (access.owners == first).all():
            return [(self._shared_of(first, access), None)]
        return [(self._shared_of(int(owner), access), access.owners == owner) for owner in np.unique(access.owners)]

    def _shared_of(self, owner: int, access: observers.Access) -> Shadow:
        shadow = self._shared.get(owner)
        if shadow is None:
            error = BarrierError(f"an access to the shared memory of block {owner}, which has ended")
            raise self._reports.located(error, access.instruction, int(access.blocks[0]), int(access.threads[0]))
        return shadow

    def _refuse_overlap(self, access: observers.Access, addresses: np.ndarray) -> None:
        """Refuse plain accesses to the bytes of an mbarrier."""
        low, high = self._span
        if int(addresses.max()) + access.size <= low or int(addresses.min()) >= high:
            return
        owner = int(access.owners[0])
        for block, address in self._mbarriers:
            touching = (addresses < address + _MBARRIER_BYTES) & (addresses + access.size > address)
            if block == owner and touching.any():
                error = BarrierError(
                    f"an access to the bytes of the mbarrier at {address:#x} that is not one of its own"
                )
                raise self._reports.located(error, access.instruction, int(access.blocks[0]), int(access.threads[0]))

    def event(self, event: observers.Event) -> None:
        """Let an event order what comes after it."""
        kind, data = event.kind, event.data
        if kind == "barrier.arrive":
            if data.get("barrier") == "cluster":
                self._sync.arrive_at_cluster(event, int(event.blocks[0]) // self._launch.cluster)
            else:
                self._sync.arrive(event)
        elif kind == "barrier.pass":
            if data.get("barrier") == "cluster":
                self._sync.leave_cluster(event, int(event.blocks[0]) // self._launch.cluster)
            else:
                self._sync.leave(event)
        elif kind == "warp.sync" and event.instruction.name == "bar":
            # Shuffles and votes bring lanes together, but order no memory.
            self._sync.converge(event)
        elif kind == "fence":
            self._fence(event)
        elif kind == "async.wait":
            if not data.get("read"):
                for work in data["works"]:
                    work.data[AWAITED] = True
            for block, threads in by_block(event.blocks, event.threads):
                self._works.awaited(data["works"], block, threads, only_reads=bool(data.get("read")))
        elif kind.startswith("mbarrier."):
            self._mbarrier(event)

    def _fence(self, event: observers.Event) -> None:
        ins = event.instruction
        if ins.has("mbarrier_init"):
            owners = set(zip(event.blocks.tolist(), event.threads.tolist(), strict=True))
            self._published |= {key for key, maker in self._mbarriers.items() if maker in owners}
        elif ins.has("proxy"):
            if not any(word.startswith("async") for word in ins.modifiers):
                return
            for block, threads in by_block(event.blocks, event.threads):
                self._clocks.fence(block, threads)
        elif ins.name != "wgmma":
            self._sync.fence(event)

    def _mbarrier(self, event: observers.Event) -> None:
        kind = event.kind.removeprefix("mbarrier.")
        if kind in ("init", "inval"):
            self._create(event, live=kind == "init")
            return
        if event.data.get("work") is None:
            self._probe(event)
        if kind == "arrive":
            self._sync.mbarrier_arrive(event)
        elif kind == "complete" and event.data.get("work") is not None:
            self._sync.mbarrier_complete(event)
        elif kind == "pass":
            self._sync.mbarrier_pass(event)

    def _create(self, event: observers.Event, *, live: bool) -> None:
        """Count initialisation and invalidation as plain writes of the object."""
        place = self._places[id(event.instruction)]
        owners, addresses = event.data["owners"].tolist(), event.data["addresses"]
        for row, owner in enumerate(owners):
            block, thread = int(event.blocks[row]), event.threads[row : row + 1]
            key = owner, int(addresses[row])
            self._mbarriers.pop(key, None)
            self._published.discard(key)
            self._sync.forget_mbarrier(*key)
            shadow, own = self._shared[owner], addresses[row : row + 1]
            shadow.fit(own, _MBARRIER_BYTES)
            columns = self._clocks.thread_columns(block, thread)
            events = np.array([self._clocks.epoch(block, int(thread[0]))])
            access = Access(block, thread, place, columns, events, WRITES)
            self._checker.write(shadow, shadow.granules(own, _MBARRIER_BYTES), access)
            if live:
                self._mbarriers[key] = block, int(thread[0])
                self._span = min(self._span[0], key[1]), max(self._span[1], key[1] + _MBARRIER_BYTES)

    def _probe(self, event: observers.Event) -> None:
        """Require that the mbarriers' initialisation is known to those who use them."""
        place = self._places[id(event.instruction)]
        owners, addresses = event.data["owners"], event.data["addresses"]
        for owner in np.unique(owners):
            rows = owners == owner
            shadow, threads, block = self._shared[int(owner)], event.threads[rows], int(event.blocks[0])
            columns = self._clocks.thread_columns(block, threads)
            access = Access(block, threads, place, columns, columns, ATOMIC | WRITES)
            self._checker.probe(shadow, shadow.granules(addresses[rows], _MBARRIER_BYTES), access)

    def _check_mbarrier(self, access: observers.Access, place: int) -> None:
        """Require that the mbarrier a copy completes on was initialised before, visibly to the async proxy."""
        owner, address = self._works.mbarrier_of(access)
        shadow, block = self._shared[owner], int(access.blocks[0])
        flags = ATOMIC | WRITES | (0 if (owner, address) in self._published else ASYNC)
        columns = self._clocks.thread_columns(block, access.threads)
        used = Access(block, access.threads[:1], place, columns[:1], columns[:1], flags)
        self._checker.probe(shadow, shadow.granules(np.array([address]), _MBARRIER_BYTES), used)


def _narrowest(ins: Instruction) -> int:
    """Return the bytes of the narrowest element that an instruction may access; 16 for those without a type."""
    if ins.name not in ("ld", "ldu", "st", "atom", "red", "multimem", "mbarrier"):
        return 4
    return min((TYPES[name].bytes for name in ins.types), default=4)
