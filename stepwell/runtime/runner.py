"""Runs bound programs: the inner loop of every call."""

import ctypes
import time
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from stepwell.runtime.binding import BoundProgram, ProgramBinder
from stepwell.runtime.frames import FramePool
from stepwell.runtime.launcher import launcher
from stepwell.runtime.memory import address_of
from stepwell.runtime.plan import KernelInfo, Program
from stepwell.runtime.threads import max_threads_function
from stepwell.support.errors import RuntimeFailure


class ProgramRunner:
    """Runs one program again and again, from several threads at once if need be.

    Args:
        binder: fills in sizes, and knows which launches can fail.
        infos: what is known of the kernels.
    """

    def __init__(self, binder: ProgramBinder, infos: Mapping[str, KernelInfo]) -> None:
        self._program: Program = binder.program
        self._infos = infos
        self._checked = binder.checked
        self._frames = FramePool(len(binder.checked))
        self._max_threads = max_threads_function()
        self._call = launcher()

    def run(
        self,
        bound: BoundProgram,
        arguments: Sequence[int],
        results: Sequence[int],
        times: list[tuple[int, float]] | None = None,
    ) -> None:
        """Run the program on memory at these addresses.

        Args:
            bound: the program with its sizes.
            arguments, results: addresses of the arguments that the user passes, and of the outputs.
            times: where to put (launch number, seconds) of each launch, or None not to measure.

        Raises:
            RuntimeFailure: a kernel found an error; all launches ran to their end.
        """
        per_thread = bound.workspace_per_thread
        frame = self._frames.take(bound.arena_bytes, per_thread * self._max_threads() if per_thread else 0)
        try:
            bases = np.array((0, frame.arena, frame.workspace, frame.status, *arguments, *results), np.int64)
            if self._checked:
                frame.clear_status()
            self._launch(bound, bases, times)
            if self._checked and (failures := frame.failures()):
                raise self._failure(failures)
            for number, place in enumerate(bound.results):
                if place.source is not None:
                    source = int(bases[place.source.base]) + place.source.offset
                    ctypes.memmove(results[number], source, place.size)
        finally:
            self._frames.give_back(frame)

    def _launch(self, bound: BoundProgram, bases: NDArray[np.int64], times: list[tuple[int, float]] | None) -> None:
        if not bound.launches:
            return
        table = bound.table.copy()
        table[bound.patches] += bases[bound.patch_bases]
        start = address_of(table)
        if times is None:
            self._call(start, start + table.nbytes)
            return
        for number, first, last in bound.launches:
            began = time.perf_counter()
            self._call(start + first * table.itemsize, start + last * table.itemsize)
            times.append((number, time.perf_counter() - began))

    def _failure(self, failures: list[tuple[int, int]]) -> RuntimeFailure:
        lines = []
        for slot, status in failures:
            launch = self._program.launches[self._checked[slot - 1]]
            messages = self._infos[launch.kernel].asserts
            message = messages[status - 1] if 0 < status <= len(messages) else f"status {status}"
            lines.append(f"{message} (kernel '{launch.kernel}', from {', '.join(launch.source) or 'an unknown op'})")
        return RuntimeFailure("; ".join(lines))
