"""Memory as the threads of a batch see it: state spaces, generic addresses, and every check on an access."""

from typing import TYPE_CHECKING, Any

import numpy as np

from stepwell.runtime.simulator.machine.lanes import Array, Lanes
from stepwell.runtime.simulator.machine.observers import Access
from stepwell.runtime.simulator.memory.windows import (
    LOCAL_START,
    RANK_SHIFT,
    SHARED_START,
    SPACES,
    WINDOW_SHIFT,
)
from stepwell.runtime.simulator.ptx.module import Instruction
from stepwell.support.errors import MemoryAccessError

if TYPE_CHECKING:
    from stepwell.runtime.simulator.machine.batch import Batch

_BYTE = np.dtype(np.uint8)
_LOW = np.int64((1 << 32) - 1)
_OFFSET = np.int64((1 << RANK_SHIFT) - 1)


class Store:
    """Bytes of one state space, and whether each was ever written (where that is watched)."""

    def __init__(self, data: Array, written: Array | None = None) -> None:
        self.data = data
        self.written = None if written is None else Store(written)
        self._views: dict[tuple[str, int], Array] = {}

    def view(self, dtype: np.dtype[Any], count: int) -> Array:
        """Return the bytes as elements, or as rows of ``count`` elements."""
        key = (dtype.char, count)
        if key not in self._views:
            size = dtype.itemsize * count
            whole = self.data[: len(self.data) // size * size].view(dtype)
            self._views[key] = whole if count == 1 else whole.reshape(-1, count)
        return self._views[key]


class MemorySystem:
    """The memory of a batch.

    ``load`` and ``store`` take addresses as a frame or in the active layout ([n], see ``lanes``), and give and take
    values in the same layout, with one more axis where ``count`` is not 1. Spaces are "global", "const", "shared"
    (addresses anywhere in the cluster), "local", "param" and "generic".
    """

    def __init__(self, batch: "Batch") -> None:
        launch = batch.launch
        entry = launch.entry
        self.batch = batch
        self.shared_bytes = SHARED_START + entry.dynamic_offset + launch.shared_bytes
        self.shared_stride = -(-self.shared_bytes // 1024) * 1024
        self.local_bytes = LOCAL_START + entry.local_bytes
        self.local_stride = -(-self.local_bytes // 16) * 16
        track = launch.memory.written is not None
        self.stores = {
            "global": Store(launch.memory.bytes, launch.memory.written),
            "shared": self._fresh(batch.count * self.shared_stride, track),
            "local": self._fresh(batch.count * batch.padded_threads * self.local_stride, track),
            "param": Store(np.frombuffer(bytes(launch.parameters).ljust(16, b"\0") + bytes(16), np.uint8)),
        }

    @staticmethod
    def _fresh(nbytes: int, track: bool) -> Store:
        return Store(np.zeros(nbytes, np.uint8), np.zeros(nbytes, np.uint8) if track else None)

    def load(
        self,
        lanes: Lanes,
        space: str,
        addresses: Array,
        dtype: "np.dtype[Any]",
        ins: Instruction,
        *,
        count: int = 1,
        order: tuple[str, str] = ("weak", ""),
    ) -> Array:
        """Return what lies at the addresses: ``count`` elements each; ``order`` is the access's ordering and scope."""
        if space == "generic":
            split = self._windows(lanes, space, addresses)
            if split is not None:
                return self._load_mixed(lanes, split, addresses, dtype, ins, count, order)
            space, addresses = self._space(space, addresses)
        size = dtype.itemsize * count
        if lanes.mask is not None:
            addresses = self._substituted(lanes, addresses)
        self._observe("load", lanes, space, addresses, size, ins, order)
        store, positions = self.locate(lanes, space, addresses, size)
        index = positions >> (size.bit_length() - 1)
        if store.written is not None:
            self._check_written(lanes, store, index, addresses, dtype, count)
        # Every index was checked; numpy's own check of them would cost as much as the copy.
        values: Array = store.view(dtype, count).take(index, axis=0, mode="clip")
        return values

    def store(
        self,
        lanes: Lanes,
        space: str,
        addresses: Array,
        values: Array,
        ins: Instruction,
        *,
        count: int = 1,
        order: tuple[str, str] = ("weak", ""),
    ) -> None:
        """Write values at the addresses; where lanes write the same place, the last one's value stays."""
        if lanes.mask is not None and addresses.ndim == 2:
            addresses, values = lanes.gather(addresses), _gather_rows(lanes, values, count)
        for name, part, chosen in self.split(lanes, space, addresses):
            some, rows = (lanes, values) if chosen is None else self._chosen(lanes, values, chosen, count)
            self._store(some, name, part, rows, ins, count, order)

    def store_rows(
        self,
        lanes: Lanes,
        space: str,
        addresses: Array,
        frames: list[Array],
        ins: Instruction,
        *,
        order: tuple[str, str] = ("weak", ""),
    ) -> None:
        """Write several frames side by side at each address."""
        rows = np.stack(np.broadcast_arrays(*frames), axis=-1)
        self.store(lanes, space, addresses, rows, ins, count=len(frames), order=order)

    def split(self, lanes: Lanes, space: str, addresses: Array) -> list[tuple[str, Array, Array | None]]:
        """Resolve the space of addresses.

        Returns:
            (space, addresses in that space, who of the lanes) for each space that is meant; who is bool [n], or None
            for all of them, in which case the addresses keep their layout.
        """
        windows = self._windows(lanes, space, addresses)
        if windows is None:
            return [(*self._space(space, addresses), None)]
        flat = lanes.gather(addresses) if addresses.ndim == 2 else addresses
        return [
            (name, flat[chosen] & _LOW if name in SPACES[1:] else flat[chosen], chosen)
            for name, chosen in windows.items()
        ]

    def elements(
        self,
        lanes: Lanes,
        space: str,
        addresses: Array,
        dtype: "np.dtype[Any]",
        ins: Instruction,
        *,
        kind: str,
        order: tuple[str, str],
    ) -> tuple[Array, Array]:
        """Check a read-modify-write of each address [n] in a space; return an array, and the places in it to change."""
        self._observe(kind, lanes, space, addresses, dtype.itemsize, ins, order)
        store, positions = self.locate(lanes, space, addresses, dtype.itemsize)
        index = positions >> (dtype.itemsize.bit_length() - 1)
        if store.written is not None:
            self._check_written(lanes, store, index, addresses, dtype, 1)
        return store.view(dtype, 1), index

    def _store(
        self,
        lanes: Lanes,
        space: str,
        addresses: Array,
        values: Array,
        ins: Instruction,
        count: int,
        order: tuple[str, str],
    ) -> None:
        size = values.dtype.itemsize * count
        self._observe("store", lanes, space, addresses, size, ins, order)
        store, positions = self.locate(lanes, space, addresses, size)
        index = positions >> (size.bit_length() - 1)
        # Where several threads write one place, each value needs an index of its own: the last thread's stays.
        shape = np.broadcast_shapes(index.shape, values.shape[: index.ndim])
        if index.shape != shape:
            index = np.broadcast_to(index, shape)
        store.view(values.dtype, count)[index] = values
        if store.written is not None:
            store.written.view(_BYTE, size)[index] = 1

    @staticmethod
    def _chosen(lanes: Lanes, values: Array, chosen: Array, count: int) -> tuple[Lanes, Array]:
        rows = _gather_rows(lanes, values, count) if values.ndim == (2 if count == 1 else 3) else values
        return lanes.subset(chosen), rows[chosen]

    def locate(self, lanes: Lanes, space: str, addresses: Array, size: int) -> tuple[Store, Array]:
        """Check accesses of ``size`` bytes; return the store of their space and the positions of their bytes in it."""
        if size > 1 and int(np.bitwise_or.reduce(addresses, axis=None)) & (size - 1):
            raise self._fault(lanes, addresses & (size - 1) != 0, addresses, size, "is not a multiple of the size")
        if space in ("global", "const"):
            self._check_global(lanes, addresses, size)
            return self.stores["global"], addresses
        low, high = int(addresses.min()), int(addresses.max()) + size
        if space == "shared":
            return self.stores["shared"], self._shared(lanes, addresses, size, low, high)
        if space == "local":
            if low < LOCAL_START or high > self.local_bytes:
                bad = (addresses < LOCAL_START) | (addresses + size > self.local_bytes)
                raise self._fault(
                    lanes, bad, addresses, size, f"is outside the {self.local_bytes} bytes of local memory"
                )
            numbers = lanes.threads.numbers if addresses.ndim == 2 else lanes.gather(lanes.threads.numbers)
            return self.stores["local"], addresses + numbers * self.local_stride
        limit = len(self.batch.launch.parameters)
        if low < 0 or high > limit:
            bad = (addresses < 0) | (addresses + size > limit)
            raise self._fault(lanes, bad, addresses, size, f"is outside the {limit} bytes of parameters")
        return self.stores["param"], addresses

    def _shared(self, lanes: Lanes, addresses: Array, size: int, low: int, high: int) -> Array:
        cluster = self.batch.launch.cluster
        blocks = lanes.threads.blocks if addresses.ndim == 2 else lanes.blocks
        if cluster > 1:
            ranks = addresses >> RANK_SHIFT
            if int(ranks.max()) >= cluster or low < 0:
                bad: Array = (ranks >= cluster) | (addresses < 0)
                raise self._fault(lanes, bad, addresses, size, f"is not in the shared memory of a cluster of {cluster}")
            first = self.batch.first + blocks
            blocks = first // cluster * cluster - self.batch.first + ranks
            addresses = addresses & _OFFSET
            low, high = int(addresses.min()), int(addresses.max()) + size
        if low < SHARED_START or high > self.shared_bytes:
            bad = (addresses < SHARED_START) | (addresses + size > self.shared_bytes)
            allowed = f"{SHARED_START:#x} to {self.shared_bytes:#x}"
            raise self._fault(lanes, bad, addresses, size, f"is outside the block's shared memory, {allowed}")
        return addresses + blocks * self.shared_stride

    def _check_global(self, lanes: Lanes, addresses: Array, size: int) -> None:
        memory = self.batch.launch.memory
        low, high = int(addresses.min()), int(addresses.max()) + size
        if memory.contains(low, high):
            return
        bad = memory.outside(addresses, size)
        if not bad.any():
            return
        where = self._first(lanes, bad, addresses)
        try:
            memory.check(where[0], where[0] + size)
        except MemoryAccessError as error:
            error.block, error.thread = where[1], where[2]
            raise

    def _first(self, lanes: Lanes, bad: Array, addresses: Array) -> tuple[int, int, int]:
        """Return address, block and thread of the first access that is bad."""
        if bad.ndim == 2:
            bad, addresses = lanes.gather(bad), lanes.gather(addresses)
        lane = int(np.flatnonzero(bad)[0])
        block = int(self.batch.grid_block(lanes.blocks)[lane])
        return int(addresses[lane]), block, int(lanes.thread_numbers[lane])

    def _fault(self, lanes: Lanes, bad: Array, addresses: Array, size: int, what: str) -> MemoryAccessError:
        address, block, thread = self._first(lanes, bad, addresses)
        error = MemoryAccessError(f"an access of {size} bytes at {address:#x}, which {what}")
        error.block, error.thread = block, thread
        return error

    def _check_written(
        self, lanes: Lanes, store: Store, index: Array, addresses: Array, dtype: "np.dtype[Any]", count: int
    ) -> None:
        assert store.written is not None
        size = dtype.itemsize * count
        known = store.written.view(_BYTE, size).take(index, axis=0, mode="clip")
        missing: Array = known == 0 if size == 1 else (known == 0).any(axis=-1)
        if missing.any():
            raise self._fault(lanes, missing, addresses, size, "holds bytes that nothing has written")

    @staticmethod
    def _substituted(lanes: Lanes, addresses: Array) -> Array:
        """Give inactive threads the address of one that is active."""
        if lanes.mask is None or addresses.ndim == 1 or addresses.size == 1:
            return addresses
        row, column = divmod(int(lanes.index[0]), lanes.shape[1])
        safe = addresses[row if addresses.shape[0] > 1 else 0, column if addresses.shape[1] > 1 else 0]
        return np.where(lanes.mask, addresses, safe)

    @staticmethod
    def _space(space: str, addresses: Array) -> tuple[str, Array]:
        if space != "generic":
            return space, addresses
        window = int(addresses.flat[0]) >> WINDOW_SHIFT
        return (SPACES[window], addresses & _LOW) if 0 < window < len(SPACES) else ("global", addresses)

    def _windows(self, lanes: Lanes, space: str, addresses: Array) -> dict[str, Array] | None:
        """For generic addresses in several windows: the space names, each with bool [n] of the lanes that mean it."""
        if space != "generic" or addresses.size == 1:
            return None
        windows = addresses >> WINDOW_SHIFT
        if int(windows.min()) == int(windows.max()):
            return None
        flat = lanes.gather(windows) if windows.ndim == 2 else windows
        numbers = np.unique(flat)
        if len(numbers) == 1 and lanes.mask is None:
            return None
        names = dict(enumerate(SPACES))
        return {names.get(int(number), "global"): flat == number for number in numbers}

    def _load_mixed(
        self,
        lanes: Lanes,
        split: dict[str, Array],
        addresses: Array,
        dtype: "np.dtype[Any]",
        ins: Instruction,
        count: int,
        order: tuple[str, str],
    ) -> Array:
        flat = lanes.gather(addresses) if addresses.ndim == 2 else addresses
        values = np.zeros((lanes.count, count), dtype)
        for name, chosen in split.items():
            part = flat[chosen] & _LOW if name in SPACES[1:] else flat[chosen]
            got = self.load(lanes.subset(chosen), name, part, dtype, ins, count=count, order=order)
            values[chosen] = got.reshape(-1, count)
        if addresses.ndim == 1:
            return values[:, 0] if count == 1 else values
        columns = [lanes.scatter(values[:, column]) for column in range(count)]
        return columns[0] if count == 1 else np.stack(columns, axis=-1)

    def _observe(
        self, kind: str, lanes: Lanes, space: str, addresses: Array, size: int, ins: Instruction, order: tuple[str, str]
    ) -> None:
        self.batch.launch.counts.bytes[space, kind] += lanes.count * size
        if not self.batch.launch.observers:
            return
        flat = lanes.gather(addresses) if addresses.ndim == 2 else addresses
        blocks = self.batch.grid_block(lanes.blocks)
        owners = blocks
        if space == "shared":
            cluster = self.batch.launch.cluster
            owners = blocks // cluster * cluster + (flat >> RANK_SHIFT) if cluster > 1 else blocks
            flat = flat & _OFFSET
        access = Access(
            kind, space, flat, size, owners, blocks, lanes.thread_numbers, ins, order=order[0], scope=order[1]
        )
        for observer in self.batch.launch.observers:
            observer.access(access)


def _gather_rows(lanes: Lanes, values: Array, count: int) -> Array:
    if count == 1:
        return lanes.gather(values)
    whole = np.broadcast_to(values, (*lanes.shape, count)).reshape(-1, count)
    return whole[lanes.index]
