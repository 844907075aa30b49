"""Tensors of the host during a call on a device that cannot reach them: copies there, and results brought back."""

from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from stepwell.runtime.binding import ResultPlace
from stepwell.runtime.tensors import Array, TensorKind
from stepwell.support.dtypes import DType


class Queue(Protocol):
    """Work that a device does in order, and memory that lives in this order."""

    def allocate(self, nbytes: int) -> int:
        """Return the address of fresh memory, a multiple of 256; 0 for none."""

    def free(self, address: int) -> None:
        """Free it once the work so far is done."""

    def upload(self, address: int, array: Array) -> None:
        """Copy a contiguous array of the host; it may change afterwards."""

    def download(self, array: Array, address: int) -> None:
        """Copy to a contiguous array of the host; it is there after ``wait``."""

    def copy(self, target: int, source: int, nbytes: int) -> None:
        """Copy within the device."""

    def wait(self) -> None:
        """Wait for the work so far."""


class ScratchKind:
    """What a program writes for itself alone: memory of the device, without a tensor."""

    on_host = False

    def empty(self, shape: tuple[int, ...], dtype: DType) -> Any:
        """Return nothing: the call makes the memory."""
        return None

    def _refuse(self, *_: Any) -> Any:
        raise AssertionError("scratch memory is never a caller's tensor")

    dtype = to_dtype = is_contiguous = address = view = pack = permute = assign = span = _refuse


SCRATCH = ScratchKind()


@dataclass
class Staging:
    """The memory that one call takes on the device.

    Attributes:
        queue: where the call runs.
    """

    queue: Queue
    _blocks: list[int] = field(default_factory=list)
    _returns: list[tuple[Array, int]] = field(default_factory=list)
    _kept: list[Any] = field(default_factory=list)

    def argument(self, kind: TensorKind, value: Any) -> int:
        """Return the address of an argument's elements, in row-major order."""
        if not kind.on_host:
            if not kind.is_contiguous(value):
                value = kind.pack(value)
                self._kept.append(value)
            return kind.address(value)
        array = np.ascontiguousarray(kind.view(value, kind.to_dtype(kind.dtype(value))))
        address = self.allocate(array.nbytes)
        if array.nbytes:
            self.queue.upload(address, array)
        return address

    def result(self, kind: TensorKind, value: Any, place: ResultPlace) -> int:
        """Return where to write a result."""
        if kind is SCRATCH:
            return self.allocate(place.size)
        if not kind.on_host:
            return kind.address(value)
        address = self.allocate(place.size)
        if place.size:
            self._returns.append((kind.view(value, place.dtype), address))
        return address

    def allocate(self, nbytes: int) -> int:
        """Return the address of memory that lives as long as the call."""
        address = self.queue.allocate(nbytes) if nbytes else 0
        if address:
            self._blocks.append(address)
        return address

    def bring_back(self) -> bool:
        """Copy the results that the host sees, and wait for them; return whether there were any."""
        for array, address in self._returns:
            self.queue.download(array, address)
        if self._returns:
            self.queue.wait()
        return bool(self._returns)

    def close(self) -> None:
        """Free the memory."""
        while self._blocks:
            self.queue.free(self._blocks.pop())
