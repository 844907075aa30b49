"""Steps of the host on the CPU: segments run one after another, numbers are read where kernels wrote them."""

import ctypes
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from stepwell.runtime.binding import Bases, ResultPlace
from stepwell.runtime.devices.cpu_program import BoundTable, Calls, CpuProgram, argument_addresses
from stepwell.runtime.devices.device import CallMode, Tensor
from stepwell.runtime.frames import Frame, FramePool
from stepwell.runtime.plan import KernelInfo, Program
from stepwell.runtime.tensors import Array

_MOST_CALLS = 64
"""Rows of calls that a call of a program keeps: a few for each body of a loop."""


class CpuMachine:
    """What steps of the host take of the CPU.

    Args:
        infos: what is known of the kernels.
        addresses: address of each kernel.
    """

    def __init__(self, infos: Mapping[str, KernelInfo], addresses: Mapping[str, int]) -> None:
        self._infos = infos
        self._addresses = addresses
        self._arenas = FramePool(0)

    def load(self, program: Program, bases: Bases, targets: Sequence[tuple[int, int]]) -> CpuProgram:
        """Return a straight program."""
        return CpuProgram(program, bases, self._infos, targets, self._addresses)

    @contextmanager
    def visit(self, programs: Sequence[Any], arguments: Sequence[Tensor]) -> "Iterator[CpuVisit]":
        """Begin a call."""
        visit = CpuVisit(self._arenas, arguments)
        try:
            yield visit
        finally:
            visit.close()


class CpuVisit:
    """A call under way.

    Args:
        arenas: memory for arenas.
        arguments: the caller's tensors.
    """

    def __init__(self, arenas: FramePool, arguments: Sequence[Tensor]) -> None:
        self._packed: list[Array] = []
        self.arguments: Sequence[int] = argument_addresses(arguments, self._packed)
        self._arenas = arenas
        self._taken: dict[int, Frame] = {}
        # Rounds of a loop run the same programs on the same memory.
        self._frames: dict[int, tuple[CpuProgram, BoundTable, Frame]] = {}
        self._calls: dict[tuple[int, ...], Calls] = {}

    def result(self, tensor: Tensor, place: ResultPlace) -> int:
        """Return the result's own address."""
        kind, value = tensor
        return kind.address(value)

    def allocate(self, nbytes: int) -> int:
        """Return the address of an arena; 0 for none."""
        if not nbytes:
            return 0
        frame = self._arenas.take(nbytes, 0)
        self._taken[frame.arena] = frame
        return frame.arena

    def free(self, address: int) -> None:
        """Give an arena back."""
        if address:
            self._arenas.give_back(self._taken.pop(address))

    def run(self, program: Any, bound: Any, addresses: Sequence[int], mode: CallMode) -> None:
        """Run a straight program; raises RuntimeFailure where a kernel found an error."""
        key = (id(bound), *addresses)
        calls = self._calls.get(key)
        if calls is None:
            if len(self._calls) >= _MOST_CALLS:
                self._forget()
            calls = self._calls[key] = program.calls(bound, addresses, self._frame(program, bound))
        program.make(calls, mode.samples)

    def _frame(self, program: CpuProgram, bound: BoundTable) -> Frame:
        """Return the scratch memory of a program; while it is kept, so is what its key is the identity of."""
        if id(bound) not in self._frames:
            self._frames[id(bound)] = (program, bound, program.take_frame(bound))
        return self._frames[id(bound)][2]

    def _forget(self) -> None:
        for program, _, frame in self._frames.values():
            program.give_back(frame)
        self._frames.clear()
        self._calls.clear()

    def read(self, address: int) -> int:
        """Return the int64 there."""
        return ctypes.c_int64.from_address(address).value

    def flag(self, address: int) -> bool:
        """Return the bool there."""
        return ctypes.c_int8.from_address(address).value != 0

    def copy(self, target: int, source: int, nbytes: int) -> None:
        """Copy bytes."""
        ctypes.memmove(target, source, nbytes)

    def finish(self) -> None:
        """Do nothing: results are where the caller sees them."""

    def close(self) -> None:
        """Give all memory back."""
        self._forget()
        for address in list(self._taken):
            self.free(address)
