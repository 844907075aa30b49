"""Estimates that the rules for a GPU share: what fits a multiprocessor, how many waves a launch takes.

The facts come from the target (``support/target.py``); nothing here was measured.
"""

from dataclasses import dataclass

from stepwell.passes.schedules.nvidia.grid import WARP
from stepwell.support.target import Target

BLOCK_THREADS = 256
"""Threads of a block where nothing else decides: several blocks per multiprocessor, and few idle at the edges."""

# Registers are handed to warps in units of this many per thread.
_REGISTER_UNIT = 8
# Shared memory that the system keeps of each block (compute capability 8.0 and later).
_RESERVED_SHARED = 1 << 10


@dataclass(frozen=True)
class Occupancy:
    """What one multiprocessor holds of a launch.

    Attributes:
        blocks: how many blocks at once; 0 where a block does not fit.
        warps: how many warps at once.
        fraction: warps of those that it could hold.
        limit: what keeps it from holding more: "threads", "blocks", "registers" or "shared memory".
    """

    blocks: int
    warps: int
    fraction: float
    limit: str


def occupancy(target: Target, threads: int, registers: int = 32, shared_bytes: int = 0) -> Occupancy:
    """Estimate how blocks of ``threads`` fit a multiprocessor.

    Args:
        target: a CUDA target.
        threads: threads of a block.
        registers: registers of a thread.
        shared_bytes: shared memory of a block.
    """
    facts = target.gpu
    warps = -(-threads // WARP)
    held = -(-max(registers, 1) // _REGISTER_UNIT) * _REGISTER_UNIT * WARP
    limits = {
        "threads": facts.threads // (warps * WARP),
        "blocks": facts.blocks,
        "registers": facts.registers // (held * warps),
        "shared memory": facts.shared_bytes // (shared_bytes + _RESERVED_SHARED) if shared_bytes else facts.blocks,
    }
    if shared_bytes > facts.shared_limit:
        limits["shared memory"] = 0
    limit = min(limits, key=lambda name: limits[name])
    blocks = limits[limit]
    return Occupancy(blocks, blocks * warps, blocks * warps * WARP / facts.threads, limit)


def waves(target: Target, blocks: int, resident: int) -> float:
    """Return how often the GPU is filled by ``blocks``, ``resident`` of which fit a multiprocessor."""
    return blocks / (target.multiprocessors * max(resident, 1))
