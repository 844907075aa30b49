"""Runs bound programs: the inner loop of every call."""

import ctypes
import time
from collections.abc import Mapping, Sequence

from stepwell.runtime.binding import BoundProgram, ProgramBinder
from stepwell.runtime.frames import Frame, FramePool
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

    def run(
        self,
        bound: BoundProgram,
        arguments: Sequence[int],
        results: Sequence[int],
        prepared: Sequence[int],
        times: list[tuple[int, float]] | None = None,
    ) -> None:
        """Run the program on memory at these addresses.

        Args:
            bound: the program with its sizes.
            arguments, results, prepared: addresses of all of main's arguments, of the outputs, and of what ``prepare``
                made.
            times: where to put (launch number, seconds) of each launch, or None not to measure.

        Raises:
            RuntimeFailure: a kernel found an error; all launches ran to their end.
        """
        per_thread = bound.workspace_per_thread
        frame = self._frames.take(bound.arena_bytes, per_thread * self._max_threads() if per_thread else 0)
        try:
            bases = [frame.arena, *arguments, *results, *prepared]
            if self._checked:
                frame.clear_status()
            if times is None:
                self._launch(bound, bases, frame)
            else:
                self._launch_timed(bound, bases, frame, times)
            if self._checked and (failures := frame.failures()):
                raise self._failure(failures)
            for number, place in enumerate(bound.results):
                if place.source is not None:
                    base, offset = place.source
                    ctypes.memmove(results[number], bases[base] + offset, place.size)
        finally:
            self._frames.give_back(frame)

    @staticmethod
    def _launch(bound: BoundProgram, bases: list[int], frame: Frame) -> None:
        workspace, status = frame.workspace, frame.status
        for step in bound.steps:
            pointers = [bases[base] + offset for base, offset in step.pointers]
            step.kernel(*pointers, *step.scalars, workspace, status + step.status)

    @staticmethod
    def _launch_timed(bound: BoundProgram, bases: list[int], frame: Frame, times: list[tuple[int, float]]) -> None:
        for step in bound.steps:
            pointers = [bases[base] + offset for base, offset in step.pointers]
            start = time.perf_counter()
            step.kernel(*pointers, *step.scalars, frame.workspace, frame.status + step.status)
            times.append((step.launch, time.perf_counter() - start))

    def _failure(self, failures: list[tuple[int, int]]) -> RuntimeFailure:
        lines = []
        for slot, status in failures:
            launch = self._program.launches[self._checked[slot - 1]]
            messages = self._infos[launch.kernel].asserts
            message = messages[status - 1] if 0 < status <= len(messages) else f"status {status}"
            lines.append(f"{message} (kernel '{launch.kernel}', from {', '.join(launch.source) or 'an unknown op'})")
        return RuntimeFailure("; ".join(lines))
