"""Programs on the CPU: a table of calls for one set of sizes, and the inner loop of every call."""

import ctypes
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stepwell.runtime.binding import Bases, BoundProgram, ProgramBinder
from stepwell.runtime.devices.device import PLAIN, CallMode, Tensor
from stepwell.runtime.devices.failures import failure
from stepwell.runtime.frames import Frame, FramePool
from stepwell.runtime.launcher import argument_position, launcher, row
from stepwell.runtime.memory import address_of, aligned_empty
from stepwell.runtime.plan import KernelInfo, Program
from stepwell.runtime.report import Sample
from stepwell.runtime.tensors import Array
from stepwell.runtime.threads import max_threads_function


@dataclass(frozen=True)
class BoundTable(BoundProgram):
    """A program for one set of argument shapes.

    Attributes:
        workspace_per_thread: bytes of scratch memory that the hungriest launch needs for each thread.
        table: the launcher's rows, with offsets where addresses will be.
        bases: for each word of the table the number of the base whose address must be added to it.
        launches: (number, first word, last word exclusive) of the launches that have something to write.
    """

    workspace_per_thread: int
    table: NDArray[np.int64]
    bases: NDArray[np.int64]
    launches: tuple[tuple[int, int, int], ...]


@dataclass(slots=True)
class Calls:
    """Calls of kernels with all addresses; they may be made again and again.

    Attributes:
        bound: the program with its sizes.
        frame: its scratch memory.
        table: the launcher's rows.
        start, end: address of the first row, and behind the last one.
        copies: (target, source) addresses of the copies behind them.
    """

    bound: BoundTable
    frame: Frame
    table: NDArray[np.int64]
    start: int
    end: int
    copies: Sequence[tuple[int, int]]


class CpuProgram:
    """A program that runs again and again, from several threads at once if need be.

    Args:
        program: what to run.
        bases: where the buffers are.
        infos: what is known of the kernels.
        targets: (result, argument) numbers of the own tensors that it changes.
        addresses: address of each kernel.
    """

    def __init__(
        self,
        program: Program,
        bases: Bases,
        infos: Mapping[str, KernelInfo],
        targets: Sequence[tuple[int, int]],
        addresses: Mapping[str, int],
    ) -> None:
        self._binder = ProgramBinder(program, bases, infos, targets)
        self._addresses = addresses
        self._checked = self._binder.checked
        self._frames = FramePool(len(self._checked))
        self._max_threads = max_threads_function()
        self._launch = launcher()
        self._prepared: list[Array] = []

    def bind(self, sizes: Mapping[str, int]) -> BoundTable:
        """Return the program for these sizes."""
        table: list[int] = []
        bases: list[int] = []
        launches: list[tuple[int, int, int]] = []
        workspace = 0
        for number, launch in self._binder.launches(sizes):
            start = len(table)
            places = self._binder.arguments(number, launch, sizes)
            table += row(self._addresses[launch.kernel], [place.offset for place in places])
            bases += [Bases.FIXED] * (len(table) - start)
            for position, place in enumerate(places):
                bases[start + argument_position(position)] = place.base
            launches.append((number, start, len(table)))
            workspace = max(workspace, self._binder.infos[launch.kernel].workspace_per_thread)
        return BoundTable(
            **vars(self._binder.bind(sizes)),
            workspace_per_thread=workspace,
            table=np.array(table, np.int64),
            bases=np.array(bases, np.int64),
            launches=tuple(launches),
        )

    def prepare(self, bound: BoundTable) -> list[int]:
        """Run a program that takes nothing; return the addresses of its results."""
        self._prepared = [aligned_empty(place.size) for place in bound.results]
        addresses = [address_of(block) for block in self._prepared]
        self.run(bound, addresses, PLAIN)
        return addresses

    def call(self, bound: BoundTable, arguments: Sequence[Tensor], results: Sequence[Tensor], mode: CallMode) -> None:
        """Run the program on tensors; raises RuntimeFailure where a kernel found an error."""
        # The launches read the packed copies, which live until this returns.
        packed: list[Array] = []
        addresses = argument_addresses(arguments, packed)
        addresses += [kind.address(value) for kind, value in results]
        self.run(bound, addresses, mode)

    def run(self, bound: BoundTable, addresses: Sequence[int], mode: CallMode) -> None:
        """Run on arguments and results at these addresses."""
        frame = self.take_frame(bound)
        try:
            self.make(self.calls(bound, addresses, frame), mode.samples)
        finally:
            self.give_back(frame)

    def take_frame(self, bound: BoundTable) -> Frame:
        """Return scratch memory for a program with its sizes."""
        per_thread = bound.workspace_per_thread
        return self._frames.take(bound.arena_bytes, per_thread * self._max_threads() if per_thread else 0)

    def give_back(self, frame: Frame) -> None:
        """Take scratch memory back."""
        self._frames.give_back(frame)

    def calls(self, bound: BoundTable, addresses: Sequence[int], frame: Frame) -> Calls:
        """Return the calls of kernels on arguments and results at these addresses, with this scratch memory."""
        places = (0, frame.arena, frame.workspace, frame.status, *addresses)
        table = bound.table + np.array(places, np.int64)[bound.bases]
        start = address_of(table)
        copies = [
            (places[copy.target.base] + copy.target.offset, places[copy.source.base] + copy.source.offset)
            for copy in bound.copies
        ]
        return Calls(bound, frame, table, start, start + table.nbytes, copies)

    def make(self, calls: Calls, samples: list[Sample] | None = None) -> None:
        """Make calls of kernels, then copies; raises RuntimeFailure where a kernel found an error."""
        if self._checked:
            calls.frame.clear_status()
        if samples is None and calls.bound.launches:
            self._launch(calls.start, calls.end, 0)
        elif samples is not None:
            self._measure(calls, samples)
        if self._checked and (failures := calls.frame.failures()):
            raise failure(self._binder.program, self._binder.infos, self._checked, failures)
        for (target, source), copy in zip(calls.copies, calls.bound.copies, strict=True):
            ctypes.memmove(target, source, copy.size)

    def _measure(self, calls: Calls, samples: list[Sample]) -> None:
        word = calls.table.itemsize
        for number, first, last in calls.bound.launches:
            began = time.perf_counter()
            self._launch(calls.start + first * word, calls.start + last * word, 0)
            samples.append(Sample(number, time.perf_counter() - began))


def argument_addresses(arguments: Sequence[Tensor], packed: list[Array]) -> list[int]:
    """Return the addresses of arguments, in row-major order; copies that this takes are added to ``packed``."""
    addresses: list[int] = []
    for kind, value in arguments:
        if kind.is_contiguous(value):
            addresses.append(kind.address(value))
        else:
            packed.append(np.ascontiguousarray(kind.view(value, kind.to_dtype(kind.dtype(value)))))
            addresses.append(address_of(packed[-1]))
    return addresses
