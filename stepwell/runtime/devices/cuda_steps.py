"""Programs on a GPU launch by launch: to measure each kernel, or to see which of them fails."""

import ctypes
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from stepwell.runtime.devices.cuda_table import LaunchTable
from stepwell.runtime.devices.device import CallMode
from stepwell.runtime.driver.codes import broken, is_sticky, refused
from stepwell.runtime.driver.queues import CudaQueue
from stepwell.runtime.report import Sample

_TIMING = 0


class Rows(Protocol):
    """What calls rows of tables: a program."""

    def call_rows(self, table: LaunchTable, words: NDArray[np.int64], first: int, last: int) -> None:
        """Call the rows from one word to another."""

    def describe(self, number: int) -> str:
        """Name a launch for an error."""


class Stepper:
    """Calls the rows of a table launch by launch, to measure each, or to see each fail.

    The first and last rows make the context the thread's own and give it back; between them it stays so.
    """

    def __init__(
        self, program: Rows, table: LaunchTable, words: NDArray[np.int64], queue: CudaQueue, mode: CallMode
    ) -> None:
        self._program = program
        self._table = table
        self._words = words
        self._queue = queue
        self._mode = mode
        self._driver = queue.gpu.driver
        self._events: list[tuple[int, int, int]] = []

    def run(self) -> None:
        """Call all rows."""
        at = self._table.first
        try:
            for number, first, last in self._table.launches:
                self._rows(at, first)
                self._launch(number, first, last)
                at = last
            self._rows(at, len(self._words))
            self._measure()
        finally:
            for _, begin, end in self._events:
                self._driver.attempt("cuEventDestroy_v2", begin)
                self._driver.attempt("cuEventDestroy_v2", end)

    def _rows(self, first: int, last: int) -> None:
        self._program.call_rows(self._table, self._words, first, last)

    def _launch(self, number: int, first: int, last: int) -> None:
        measured = self._mode.samples is not None
        if measured:
            begin, end = (self._driver.handle("cuEventCreate", _TIMING) for _ in range(2))
            self._events.append((number, begin, end))
            self._driver.call("cuEventRecord", begin, self._queue.stream)
        self._rows(first, last)
        if measured:
            self._driver.call("cuEventRecord", end, self._queue.stream)
        if self._mode.check_errors:
            code = self._driver.attempt("cuStreamSynchronize", self._queue.stream)
            if code:
                self._driver.attempt("cuCtxPopCurrent_v2", ctypes.byref(ctypes.c_size_t()))
                name, kernel = self._driver.name_of(code), self._program.describe(number)
                raise broken(code, name, kernel) if is_sticky(code) else refused(code, name, kernel)

    def _measure(self) -> None:
        if self._mode.samples is None:
            return
        with self._queue.gpu.current():
            self._queue.wait()
            for number, begin, end in self._events:
                milliseconds = ctypes.c_float()
                self._driver.call("cuEventElapsedTime", ctypes.byref(milliseconds), begin, end)
                self._mode.samples.append(Sample(number, milliseconds.value / 1e3))
