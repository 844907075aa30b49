"""Errors about blocks that cannot go on, or that end too early."""

from collections.abc import Sequence

import numpy as np

from stepwell.runtime.simulator.machine.async_work import AsyncWork
from stepwell.runtime.simulator.machine.batch import Batch
from stepwell.runtime.simulator.machine.binding import located
from stepwell.runtime.simulator.ptx.module import Entry
from stepwell.runtime.simulator.strict.warps import Warp
from stepwell.support.errors import BarrierError, DeadlockError, SimulationError

_SHOWN = 8
_PARTNERS = "the other threads of the warp"


def stalled(entry: Entry, warps: Sequence[Warp]) -> SimulationError:
    """Return the error for warps none of which can go on: who waits where, and for what.

    It is a BarrierError where lanes of one warp wait for each other at different instructions.
    """
    places: dict[tuple[int, str], list[Warp]] = {}
    for warp in warps:
        for pc, (_, reason) in warp.parked.items():
            places.setdefault((pc, reason), []).append(warp)
    lines = []
    for (pc, reason), waiting in sorted(places.items(), key=lambda item: item[0])[:_SHOWN]:
        ins = entry.instructions[pc]
        lines.append(f"  PTX line {ins.line}: {ins.text}: {_named(waiting)} for {reason}")
    divergent = [warp for warp in warps if any(reason == _PARTNERS for _, reason in warp.parked.values())]
    listed = "\n".join(lines)
    error: SimulationError
    if divergent:
        error = BarrierError(f"the threads of a warp do not come together; they wait:\n{listed}")
    else:
        error = DeadlockError(f"no warp can go on; they wait:\n{listed}")
    first = (divergent or warps)[0]
    pc = min(first.parked)
    mask = np.broadcast_to(first.parked[pc][0], first.threads.shape)
    error.block = int(first.threads.batch.first) + first.block
    error.thread = int(first.threads.threads[0, int(np.argmax(mask[0]))])
    return located(error, entry.instructions[pc], entry.name)


def _named(warps: list[Warp]) -> str:
    blocks = sorted({warp.block + warp.threads.batch.first for warp in warps})
    if len(blocks) > 1:
        return f"{len(warps)} warps of {len(blocks)} blocks (the first is block {blocks[0]}) wait"
    numbers = ", ".join(str(warp.number) for warp in sorted(warps, key=lambda warp: warp.number))
    verb = "waits" if len(warps) == 1 else "wait"
    return f"warp{'' if len(warps) == 1 else 's'} {numbers} of block {blocks[0]} {verb}"


def unfinished(entry: Entry, batch: Batch, block: int, pending: list[AsyncWork]) -> SimulationError | None:
    """Return the error for a block that ends while copies still read or write its shared memory, or None."""
    for work in pending:
        problem = _problem(work, block)
        if problem:
            error = BarrierError(f"the block ends while a copy that thread {work.thread} began {problem}")
            error.block, error.thread = batch.first + block, work.thread
            return located(error, work.instruction, entry.name)
    return None


def _problem(work: AsyncWork, block: int) -> str:
    reading = work.data.get("reading")
    if reading is not None and work.block == block and not reading.done:
        return "may still read its shared memory: no cp.async.bulk.wait_group covers it"
    if any(owner == block for owner, _ in work.data.get("barriers", ())):
        return "has yet to write its shared memory: nobody waited for its mbarrier"
    return ""
