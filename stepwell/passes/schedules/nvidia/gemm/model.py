"""How long a GPU would take for a tiling, by an estimate: what ranks candidates before anything was measured.

A multiprocessor that works on several blocks, side by side or one after the other, needs whichever is more: the time
of the arithmetic, of the traffic between shared memory and registers, and of the traffic to the level 2 cache and
memory; and no block is faster than its steps wait for memory.  The time of the launch is that of the multiprocessor
with the most blocks.  Rates are per clock of one multiprocessor, from the data sheets and the programming guide;
nothing here was measured.
"""

from dataclasses import dataclass

from stepwell.passes.schedules.nvidia.gemm.problem import Problem
from stepwell.passes.schedules.nvidia.machine import Occupancy
from stepwell.support.target import Target

# Bytes per clock between the level 2 cache and one multiprocessor, and from shared memory.
_CACHE_RATE = 40.0
_SHARED_RATE = 128.0
# Clocks from a load of memory to its use, and for a block to start, fill its pipeline and leave.
_MEMORY_LATENCY = 700.0
_BLOCK_OVERHEAD = 1500.0
# Clocks between two launches of a stream.
_LAUNCH_OVERHEAD = 4000.0
_CLOCK = 1.5e9
# Warps per multiprocessor that hide the latency of arithmetic.
_BUSY_WARPS = 8

_SPLITS = (2, 4, 8, 16)
# Steps that a part of a split depth has at least, or splitting costs more than it brings.
_FEWEST_STEPS = 4


@dataclass(frozen=True)
class Work:
    """What a tiling does.

    Attributes:
        blocks: how many blocks.
        warps: warps of a block.
        steps: tiles along the depth that a block walks.
        step_clocks: clocks of a step's arithmetic, where the multiprocessor does nothing else.
        step_shared: bytes read from shared memory in a step.
        step_bytes: bytes of operands that a step brings in.
        in_flight: steps whose operands are on their way at once.
        memory_bytes: bytes that come from or go to memory over the whole launch.
        part_bytes: bytes of the parts of sums, written by one launch and read by the next; 0 without.
    """

    blocks: int
    warps: int
    steps: int
    step_clocks: float
    step_shared: float
    step_bytes: float
    in_flight: int
    memory_bytes: float
    part_bytes: float = 0


@dataclass(frozen=True)
class Estimate:
    """What is expected of a tiling.

    Attributes:
        clocks: how long it takes.
        waves: how often it fills the GPU.
        bound: what it waits for: "arithmetic", "shared memory", "cache", "memory" or "latency".
    """

    clocks: float
    waves: float
    bound: str

    def __str__(self) -> str:
        return f"about {self.clocks / _CLOCK * 1e6:.3g} us, {self.waves:.2f} waves, bound by {self.bound}"


def estimate(target: Target, work: Work, fits: Occupancy) -> Estimate:
    """Estimate the time of a launch of blocks that fit a multiprocessor as ``fits`` says."""
    share = -(-work.blocks // target.multiprocessors)
    resident = max(min(share, fits.blocks), 1)
    busy = min(1.0, resident * work.warps / _BUSY_WARPS)
    steps = share * work.steps
    parts = {
        "arithmetic": steps * work.step_clocks / busy,
        "shared memory": steps * work.step_shared / _SHARED_RATE,
        "cache": steps * work.step_bytes / _CACHE_RATE,
        "memory": work.memory_bytes / (target.gpu.bandwidth / _CLOCK),
        "latency": -(-share // resident) * work.steps * _MEMORY_LATENCY / work.in_flight,
    }
    bound = max(parts, key=lambda name: parts[name])
    overhead = -(-share // resident) * _BLOCK_OVERHEAD
    if work.part_bytes:
        overhead += _LAUNCH_OVERHEAD + work.part_bytes / (target.gpu.bandwidth / _CLOCK)
    places = target.multiprocessors * max(fits.blocks, 1)
    return Estimate(parts[bound] + overhead, work.blocks / places, bound)


def possible_splits(problem: Problem, target: Target, rows: int, columns: int, step: int) -> list[int]:
    """Return into how many parts the depth may be cut: more than one where tiles leave multiprocessors without work.

    Args:
        problem: what is computed.
        target: where.
        rows, columns: sums of a tile.
        step: depth of a tile.
    """
    sizes = (problem.rows, problem.columns, problem.outer)
    tall, wide, outer = map(problem.assumed, sizes)
    tiles = -(-tall // rows) * -(-wide // columns) * outer
    steps = -(-problem.assumed(problem.depth) // step)
    static = all(size.is_constant for size in (*sizes, problem.depth))
    return [1] + [
        splits
        for splits in _SPLITS
        if static and tiles * splits <= 2 * target.multiprocessors and steps >= splits * _FEWEST_STEPS
    ]
