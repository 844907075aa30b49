"""Programs on a GPU: tables of driver calls per set of sizes, and what every call does."""

import ctypes
import weakref
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stepwell.runtime.binding import STATUS_BYTES, Bases, Place, ResultPlace
from stepwell.runtime.devices.cuda_frames import CudaFrame, CudaFrames
from stepwell.runtime.devices.cuda_steps import Stepper
from stepwell.runtime.devices.cuda_table import LaunchTable, MapSlot, TableWriter
from stepwell.runtime.devices.device import PLAIN, CallMode, Tensor
from stepwell.runtime.devices.failures import describe, failure
from stepwell.runtime.devices.grid_program import MAP_BYTES, WIDE, WORD, BoundGrids, GridBinder
from stepwell.runtime.devices.staging import Staging
from stepwell.runtime.driver.codes import refused
from stepwell.runtime.driver.gpu import NO_TIMING, Block, Gpu
from stepwell.runtime.driver.modules import Module
from stepwell.runtime.driver.queues import CudaQueue, TorchQueue
from stepwell.runtime.driver.tensor_maps import encode
from stepwell.runtime.driver.tensors import DeviceKind, TorchDeviceKind
from stepwell.runtime.launcher import launcher
from stepwell.runtime.memory import address_of

_ROW_FUNCTIONS = (
    "cuCtxPushCurrent_v2",
    "cuCtxPopCurrent_v2",
    "cuLaunchKernel",
    "cuLaunchKernelEx",
    "cuMemcpyDtoDAsync_v2",
    "cuMemcpyDtoHAsync_v2",
    "cuStreamWaitEvent",
    "cuEventRecord",
)
_MAP_WORDS = MAP_BYTES // WORD
_MOST_MAPS = 64
"""Addresses of one tensor whose maps are kept; an allocator gives few."""


@dataclass(frozen=True)
class LoadedCode:
    """The kernels of an executable on a GPU."""

    gpu: Gpu
    modules: Mapping[str, Module]


@dataclass(frozen=True)
class BoundCuda(BoundGrids):
    """A program for one set of argument shapes.

    Attributes:
        has_variants: whether how pointers lie decides what runs.
        tables: what to call, by the event that orders calls, and how the pointers lie.
    """

    has_variants: bool
    tables: dict[tuple[int, bytes], LaunchTable] = field(default_factory=dict, compare=False)


class CudaProgram:
    """A program that runs again and again on a GPU, from several threads and on several streams if need be.

    Args:
        code: the kernels.
        binder: fills in sizes.

    Attributes:
        gpu: the GPU.
    """

    def __init__(self, code: LoadedCode, binder: GridBinder) -> None:
        self.gpu = self._gpu = code.gpu
        self._code = code
        self._binder = binder
        self._slots = len(binder.checked) + 1
        self._frames = CudaFrames(self._slots)
        self._launch = launcher()
        self._addresses = {name: self._gpu.driver.address(name) for name in _row_functions(code, binder)}
        self._prepared: list[Block] = []
        # Calls that change the program's own tensors follow each other, whatever their streams.
        self._turn = self._event() if binder.has_targets else 0
        weakref.finalize(self, _release, code.gpu, self._frames, self._turn)

    def _event(self) -> int:
        with self._gpu.current():
            return self._gpu.driver.handle("cuEventCreate", NO_TIMING)

    def bind(self, sizes: Mapping[str, int]) -> BoundCuda:
        """Return the program for these sizes."""
        bound = self._binder.bind(sizes)
        return BoundCuda(**vars(bound), has_variants=any(grid.grid.when for grid in bound.grids))

    def prepare(self, bound: BoundCuda) -> list[int]:
        """Run a program that takes nothing; return the addresses of its results."""
        with self._gpu.current():
            self._prepared = [Block(self._gpu, place.size, "prepared tensors") for place in bound.results]
            addresses = [block.address for block in self._prepared]
            try:
                self.run(bound, CudaQueue(self._gpu, self._gpu.stream), addresses, CallMode(check_errors=True))
            finally:
                # It runs once; what it needed on the way may be much.
                for frame in self._frames.all:
                    frame.release()
        return addresses

    def call(self, bound: BoundCuda, arguments: Sequence[Tensor], results: Sequence[Tensor], mode: CallMode) -> None:
        """Run the program on tensors; returns before the GPU is done where the host sees none of the results."""
        self.report_failures()
        queue = self.queue_for(arguments)
        staging = Staging(queue)
        in_place = all(_is_in_place(queue, *tensor) for tensor in (*arguments, *results))
        with nullcontext() if in_place else self._gpu.current():
            try:
                addresses = self.stage_arguments(staging, arguments)
                addresses += [
                    self.stage_result(staging, result, place)
                    for result, place in zip(results, bound.results, strict=True)
                ]
                self.run(bound, queue, addresses, mode, staging)
            finally:
                staging.close()
        self.borrow_foreign(queue, arguments)

    def borrow_foreign(self, queue: CudaQueue, arguments: Sequence[Tensor]) -> None:
        """Let those who lent tensors wait for the work so far before they change them."""
        foreign = [value for kind, value in arguments if isinstance(kind, DeviceKind) and value.foreign]
        if foreign:
            with self._gpu.current():
                self._gpu.borrow(queue.stream, foreign)

    def queue_for(self, tensors: Sequence[Tensor]) -> CudaQueue:
        """Return torch's current stream where a tensor is torch's, else that of a tensor that has one, else our own."""
        own = self._gpu.stream
        for kind, value in tensors:
            if isinstance(kind, TorchDeviceKind):
                return TorchQueue(self._gpu, kind.torch)
            if isinstance(kind, DeviceKind) and own == self._gpu.stream:
                own = value.stream
        return CudaQueue(self._gpu, own)

    def stage_arguments(self, staging: Staging, arguments: Sequence[Tensor]) -> list[int]:
        """Return the addresses of arguments, and let the queue wait for who made them."""
        queue = staging.queue
        assert isinstance(queue, CudaQueue)
        addresses = []
        for kind, value in arguments:
            if isinstance(kind, DeviceKind):
                value.use_on(queue.stream)
            elif isinstance(kind, TorchDeviceKind):
                queue.borrow(value)
            addresses.append(staging.argument(kind, value))
        return addresses

    def stage_result(self, staging: Staging, result: Tensor, place: ResultPlace) -> int:
        """Return the address of a result, and let the queue wait for who made it."""
        queue = staging.queue
        assert isinstance(queue, CudaQueue)
        kind, value = result
        if isinstance(kind, DeviceKind):
            value.use_on(queue.stream)
        return staging.result(kind, value, place)

    def report_failures(self) -> None:
        """Raise what finished calls have reported; waits for nothing."""
        if self._slots > 1:
            for frame in self._frames.all:
                self._raise_failures(frame)

    def _raise_failures(self, frame: CudaFrame) -> None:
        found = frame.failures()
        if found:
            with self._gpu.current():
                frame.forget()
            raise failure(self._binder.program, self._binder.infos, self._binder.checked, found)

    def run(
        self,
        bound: BoundCuda,
        queue: CudaQueue,
        addresses: Sequence[int],
        mode: CallMode,
        staging: Staging | None = None,
    ) -> None:
        """Run on arguments and results at these addresses, and bring back what is staged."""
        frame = self._frames.take(queue, bound.arena_bytes, bound.workspace)
        try:
            self.enqueue(bound, queue, frame, addresses, mode)
            waited = staging is not None and staging.bring_back()
            if mode.check_errors and not waited:
                queue.wait()
            if mode.check_errors or waited:
                self._raise_failures(frame)
        finally:
            self._frames.give_back(queue, frame)

    def take_frame(self, bound: BoundCuda, queue: CudaQueue) -> CudaFrame:
        """Return a frame for good, for a captured program."""
        return self._frames.take(queue, bound.arena_bytes, bound.workspace)

    @contextmanager
    def turn_on(self, queue: CudaQueue) -> Iterator[None]:
        """Let the work of a graph follow, and be followed by, calls that change the program's own tensors."""
        if self._turn:
            self._gpu.driver.call("cuStreamWaitEvent", queue.stream, self._turn, 0)
        yield
        if self._turn:
            self._gpu.driver.call("cuEventRecord", self._turn, queue.stream)

    def enqueue(
        self,
        bound: BoundCuda,
        queue: CudaQueue,
        frame: CudaFrame,
        addresses: Sequence[int],
        mode: CallMode = PLAIN,
        *,
        captured: bool = False,
    ) -> None:
        """Put the whole program into a stream; ``captured`` leaves out what orders it after other calls.

        Raises:
            LaunchError: a kernel could not be launched, or an earlier one broke.
        """
        bases = np.array(
            (0, frame.arena, frame.workspace, frame.status, *addresses, queue.stream, _reported(frame), 0), np.int64
        )
        table = self._table(bound, bases, self._turn if not captured else 0)
        words = table.words.copy()
        bases[-1] = address_of(words)
        words[table.patches] += bases[table.patch_bases]
        for slot in table.maps:
            address = int(bases[slot.base]) + slot.offset
            encoded = slot.encoded.get(address)
            words[slot.word : slot.word + _MAP_WORDS] = self._encode(slot, address) if encoded is None else encoded
        if mode.samples is None and not mode.check_errors:
            self.call_rows(table, words, table.first, len(words))
        else:
            Stepper(self, table, words, queue, mode).run()

    def _encode(self, slot: MapSlot, address: int) -> NDArray[np.int64]:
        if len(slot.encoded) >= _MOST_MAPS:
            slot.encoded.clear()
        found = slot.encoded[address] = encode(self._gpu, slot.view, address, self.describe(slot.number))
        return found

    def call_rows(self, table: LaunchTable, words: NDArray[np.int64], first: int, last: int) -> None:
        """Call the rows from one word to another; raises LaunchError, with the caller's context restored."""
        start = address_of(words)
        failed = self._launch(start + WORD * first, start + WORD * last, -1)
        if failed:
            at = (failed - start) // WORD
            if at > table.first:
                self._gpu.driver.attempt("cuCtxPopCurrent_v2", ctypes.byref(ctypes.c_size_t()))
            self.refuse(int(words[at + 1]), table.launch_at(at))

    def refuse(self, code: int, number: int | None) -> None:
        """Raise the error for a row that failed; ``number`` is that of its launch."""
        name = self._gpu.driver.name_of(code)
        raise refused(code, name, "the program" if number is None else self.describe(number))

    def describe(self, number: int) -> str:
        """Name a launch for an error."""
        return describe(self._binder.program.launches[number])

    def _table(self, bound: BoundCuda, bases: NDArray[np.int64], turn: int) -> LaunchTable:
        key = (turn, (bases[Bases.FIRST_ARGUMENT : -3] % WIDE).tobytes() if bound.has_variants else b"")
        table = bound.tables.get(key)
        if table is None:
            table = bound.tables[key] = self._make_table(bound, bases, turn)
        return table

    def _make_table(self, bound: BoundCuda, bases: NDArray[np.int64], turn: int) -> LaunchTable:
        count = len(bases)
        stream, reported, own = count - 3, count - 2, count - 1
        writer = TableWriter(self._addresses, stream, own)
        writer.call("cuCtxPushCurrent_v2", self._gpu.context)
        if turn:
            writer.call("cuStreamWaitEvent", Place(stream, 0), turn, 0)
        for grid in bound.grids:
            if grid.runs([int(base) for base in bases]):
                writer.launch(grid, self._code.modules[grid.kernel].functions[grid.grid.entry])
        for copy in bound.copies:
            writer.copy(copy)
        if self._slots > 1:
            size = STATUS_BYTES * self._slots
            writer.call("cuMemcpyDtoHAsync_v2", Place(reported, 0), Place(Bases.STATUS, 0), size, Place(stream, 0))
        if turn:
            writer.call("cuEventRecord", turn, Place(stream, 0))
        writer.call("cuCtxPopCurrent_v2", writer.room(1))
        return writer.finish()


def _is_in_place(queue: CudaQueue, kind: Any, value: Any) -> bool:
    """Tell whether a tensor is on the GPU, and in the queue's order: then nothing but the launches calls the driver."""
    return isinstance(kind, TorchDeviceKind) or (isinstance(kind, DeviceKind) and value.stream == queue.stream)


def _reported(frame: CudaFrame) -> int:
    return 0 if frame.reported is None else frame.reported.address


def _row_functions(code: LoadedCode, binder: GridBinder) -> Sequence[str]:
    """Return the driver functions that tables call; launches with clusters are beyond older drivers."""
    grids = [grid for launch in binder.program.launches for grid in binder.infos[launch.kernel].grids]
    clusters = any(grid.cluster > 1 for grid in grids)
    return [name for name in _ROW_FUNCTIONS if clusters or name != "cuLaunchKernelEx"]


def _release(gpu: Gpu, frames: CudaFrames, event: int) -> None:
    driver: Any = gpu.driver
    if driver.attempt("cuCtxPushCurrent_v2", gpu.context) == 0:
        if driver.attempt("cuCtxSynchronize") == 0:
            for frame in frames.all:
                frame.release()
        if event:
            driver.attempt("cuEventDestroy_v2", event)
        driver.attempt("cuCtxPopCurrent_v2", ctypes.byref(ctypes.c_size_t()))
