"""Says who waits for what, when nothing can run any more."""

from collections.abc import Mapping

import numpy as np

from stepwell.runtime.simulator.machine.lanes import Array, Threads
from stepwell.runtime.simulator.ptx.module import Entry
from stepwell.support.errors import DeadlockError, SourceLocation

_SHOWN = 4


def deadlock(entry: Entry, threads: Threads, parked: Mapping[int, tuple[Array, str]]) -> DeadlockError:
    """Return the error for threads parked at instructions: who waits at each, and for what."""
    lines = []
    for pc, (mask, reason) in sorted(parked.items())[:_SHOWN]:
        ins = entry.instructions[pc]
        lines.append(f"  PTX line {ins.line}: {ins.text}: {_who(threads, mask)} for {reason}")
    ended = int((threads.exited & threads.exists).sum())
    if ended:
        lines.append(f"  {ended} threads have ended")
    error = DeadlockError("no thread can go on; these wait:\n" + "\n".join(lines))
    first = min(parked)
    ins = entry.instructions[first]
    error.entry, error.ptx_line, error.instruction = entry.name, ins.line, ins.text
    if ins.source is not None:
        error.location = SourceLocation(*ins.source)
    row, column = map(int, np.argwhere(np.broadcast_to(parked[first][0], threads.shape))[0])
    error.block = int(threads.batch.first + threads.blocks[row, 0])
    error.thread = int(threads.threads[0, column])
    return error


def _who(threads: Threads, mask: Array) -> str:
    rows, columns = np.nonzero(np.broadcast_to(mask, threads.shape))
    blocks = np.unique(threads.batch.first + threads.blocks[rows, 0])
    numbers = np.unique(threads.threads[0, columns])
    named = f"threads {numbers[0]} to {numbers[-1]}" if len(numbers) > 1 else f"thread {numbers[0]}"
    return f"{len(rows)} threads ({named} of {len(blocks)} blocks, first block {blocks[0]}) wait"
