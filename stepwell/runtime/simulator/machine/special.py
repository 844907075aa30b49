"""The special registers."""

import time
from collections.abc import Callable

import numpy as np

from stepwell.runtime.simulator.machine.lanes import WARP, Array, Lanes, Threads
from stepwell.runtime.simulator.memory.windows import SHARED_START


def _uniform(value: int) -> Array:
    return np.full((1, 1), value, np.uint32)


def _block(threads: Threads) -> Array:
    return (threads.batch.first + threads.blocks).astype(np.uint32)


def _cluster(threads: Threads) -> int:
    return threads.batch.launch.cluster


def _rank(threads: Threads) -> Array:
    return _block(threads) % np.uint32(_cluster(threads))


def _lane(threads: Threads) -> Array:
    return (threads.threads % WARP).astype(np.uint32)


def _lane_masks(compare: Callable[[Array, Array], Array]) -> Callable[[Threads], Array]:
    def compute(threads: Threads) -> Array:
        lanes = np.arange(WARP)
        bits = np.uint64(1) << lanes.astype(np.uint64)
        table = (compare(lanes[None, :], lanes[:, None]) * bits).sum(axis=1).astype(np.uint32)
        masks: Array = table[threads.threads % WARP]
        return masks

    return compute


_FIXED: dict[str, Callable[[Threads], Array]] = {
    "%tid.x": lambda threads: threads.threads.astype(np.uint32),
    "%ntid.x": lambda threads: _uniform(threads.batch.launch.threads),
    "%ctaid.x": _block,
    "%nctaid.x": lambda threads: _uniform(threads.batch.launch.blocks),
    "%laneid": _lane,
    "%warpid": lambda threads: (threads.threads // WARP).astype(np.uint32),
    "%nwarpid": lambda threads: _uniform(threads.batch.padded_threads // WARP),
    "%smid": lambda threads: _block(threads) % np.uint32(128),
    "%nsmid": lambda threads: _uniform(128),
    "%gridid": lambda threads: np.zeros((1, 1), np.uint64),
    "%is_explicit_cluster": lambda threads: np.full((1, 1), _cluster(threads) > 1),
    "%clusterid.x": lambda threads: _block(threads) // np.uint32(_cluster(threads)),
    "%nclusterid.x": lambda threads: _uniform(-(-threads.batch.launch.blocks // _cluster(threads))),
    "%cluster_ctaid.x": _rank,
    "%cluster_nctaid.x": lambda threads: _uniform(_cluster(threads)),
    "%cluster_ctarank": _rank,
    "%cluster_nctarank": lambda threads: _uniform(_cluster(threads)),
    "%lanemask_eq": _lane_masks(np.equal),
    "%lanemask_lt": _lane_masks(np.less),
    "%lanemask_le": _lane_masks(np.less_equal),
    "%lanemask_gt": _lane_masks(np.greater),
    "%lanemask_ge": _lane_masks(np.greater_equal),
    "%dynamic_smem_size": lambda threads: _uniform(threads.batch.launch.shared_bytes),
    "%total_smem_size": lambda threads: _uniform(threads.batch.memory.shared_bytes - SHARED_START),
    "%aggr_smem_size": lambda threads: _uniform(threads.batch.memory.shared_bytes),
    "%reserved_smem_offset_begin": lambda threads: _uniform(0),
    "%reserved_smem_offset_end": lambda threads: _uniform(SHARED_START),
}
for _axis in "yzw":
    for _name in ("tid", "ctaid", "clusterid", "cluster_ctaid"):
        _FIXED[f"%{_name}.{_axis}"] = lambda threads: _uniform(0)
    for _name in ("ntid", "nctaid", "nclusterid", "cluster_nctaid"):
        _FIXED[f"%{_name}.{_axis}"] = lambda threads: _uniform(1)
for _number in range(32):
    _FIXED[f"%envreg{_number}"] = lambda threads: _uniform(0)

_CLOCKS: dict[str, tuple[Callable[[], int], type[np.unsignedinteger]]] = {
    "%clock": (lambda: time.perf_counter_ns() & 0xFFFFFFFF, np.uint32),
    "%clock_hi": (lambda: time.perf_counter_ns() >> 32, np.uint32),
    "%clock64": (time.perf_counter_ns, np.uint64),
    "%globaltimer": (time.time_ns, np.uint64),
    "%globaltimer_lo": (lambda: time.time_ns() & 0xFFFFFFFF, np.uint32),
    "%globaltimer_hi": (lambda: time.time_ns() >> 32, np.uint32),
}


def special_register(name: str) -> Callable[[Lanes], Array] | None:
    """Return a function that gives a special register's frame, or None where the name is unknown."""
    if name in _FIXED:
        compute = _FIXED[name]
        return lambda lanes: lanes.threads.special(name, compute)
    if name in _CLOCKS:
        tick, dtype = _CLOCKS[name]
        return lambda lanes: np.full((1, 1), tick(), dtype)
    return None
