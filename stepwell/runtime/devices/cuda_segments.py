"""Steps of the host on a GPU: a segment is enqueued, the stream waited for, a number copied to the host."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from stepwell.runtime.binding import Bases, ResultPlace
from stepwell.runtime.devices.cuda_program import CudaProgram, LoadedCode
from stepwell.runtime.devices.device import CallMode, Tensor
from stepwell.runtime.devices.grid_program import GridBinder
from stepwell.runtime.devices.staging import Staging
from stepwell.runtime.driver.queues import CudaQueue
from stepwell.runtime.plan import KernelInfo, Program


class CudaMachine:
    """What steps of the host take of a GPU.

    Args:
        code: the kernels.
        infos: what is known of them.
        programs: where loaded programs are noted.
    """

    def __init__(self, code: LoadedCode, infos: Mapping[str, KernelInfo], programs: list[CudaProgram]) -> None:
        self._code = code
        self._infos = infos
        self._programs = programs

    def load(self, program: Program, bases: Bases, targets: Sequence[tuple[int, int]]) -> CudaProgram:
        """Return a straight program."""
        loaded = CudaProgram(self._code, GridBinder(program, bases, self._infos, targets))
        self._programs.append(loaded)
        return loaded

    @contextmanager
    def visit(self, programs: Sequence[Any], arguments: Sequence[Tensor]) -> "Iterator[CudaVisit]":
        """Begin a call."""
        for program in programs:
            program.report_failures()
        queue = programs[0].queue_for(arguments)
        with self._code.gpu.current():
            visit = CudaVisit(programs, queue)
            try:
                visit.arguments = programs[0].stage_arguments(visit.staging, arguments)
                yield visit
            finally:
                visit.close()
            programs[0].borrow_foreign(queue, arguments)


class CudaVisit:
    """A call under way.

    Args:
        programs: the segments.
        queue: where they run.
    """

    arguments: Sequence[int] = ()

    def __init__(self, programs: Sequence[CudaProgram], queue: CudaQueue) -> None:
        self._programs = programs
        self._queue = queue
        self.staging = Staging(queue)
        self._arenas: set[int] = set()

    def result(self, tensor: Tensor, place: ResultPlace) -> int:
        """Return where to write a result."""
        return self._programs[0].stage_result(self.staging, tensor, place)

    def allocate(self, nbytes: int) -> int:
        """Return the address of an arena; 0 for none."""
        address = self._queue.allocate(nbytes, "intermediate results")
        if address:
            self._arenas.add(address)
        return address

    def free(self, address: int) -> None:
        """Give an arena back, in the stream's order."""
        if address:
            self._arenas.remove(address)
            self._queue.free(address)

    def run(self, program: Any, bound: Any, addresses: Sequence[int], mode: CallMode) -> None:
        """Enqueue a straight program."""
        program.run(bound, self._queue, addresses, mode)

    def read(self, address: int) -> int:
        """Wait for the stream, and return the int64 there; raises what the kernels reported."""
        return self._download(address, np.int64)

    def _download(self, address: int, kind: type[np.integer[Any]]) -> int:
        found = np.zeros(1, kind)
        self._queue.download(found, address)
        self._queue.wait()
        self._report()
        return int(found[0])

    def flag(self, address: int) -> bool:
        """Wait for the stream, and return the bool there; raises what the kernels reported."""
        return bool(self._download(address, np.int8))

    def copy(self, target: int, source: int, nbytes: int) -> None:
        """Enqueue a copy."""
        self._queue.copy(target, source, nbytes)

    def finish(self) -> None:
        """Copy the results that the host sees, and wait for them."""
        if self.staging.bring_back():
            self._report()

    def _report(self) -> None:
        for program in self._programs:
            program.report_failures()

    def close(self) -> None:
        """Free the memory."""
        for address in list(self._arenas):
            self.free(address)
        self.staging.close()
