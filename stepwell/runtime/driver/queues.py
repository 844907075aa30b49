"""Streams as queues: memory in a stream's order, and copies to, from and within a GPU."""

import ctypes
from typing import Any

from stepwell.runtime.driver.gpu import Gpu, allocate, amount
from stepwell.runtime.memory import address_of
from stepwell.runtime.tensors import Array
from stepwell.support.errors import DeviceError


class CudaQueue:
    """A stream with memory of the driver's pool; the GPU's context must be current.

    Attributes:
        gpu: the GPU.
        stream: the stream's handle.
        key: what queues that may share scratch memory have in common.
    """

    def __init__(self, gpu: Gpu, stream: int) -> None:
        self.gpu = gpu
        self.stream = stream
        self.key: tuple[Any, ...] = (stream, "pool")

    def allocate(self, nbytes: int, what: str = "tensors") -> int:
        """Return the address of fresh memory; 0 for none.  Raises DeviceError where there is not enough."""
        return allocate(self.gpu, nbytes, self.stream, what) if nbytes else 0

    def free(self, address: int) -> None:
        """Free it once the work so far is done."""
        self.gpu.driver.call("cuMemFreeAsync", address, self.stream)

    def upload(self, address: int, array: Array) -> None:
        """Copy a contiguous array of the host; the driver keeps what it has not copied yet."""
        if array.nbytes:
            self.gpu.driver.call("cuMemcpyHtoDAsync_v2", address, address_of(array), array.nbytes, self.stream)

    def download(self, array: Array, address: int) -> None:
        """Copy to a contiguous array of the host; it is there after ``wait``."""
        if array.nbytes:
            self.gpu.driver.call("cuMemcpyDtoHAsync_v2", address_of(array), address, array.nbytes, self.stream)

    def copy(self, target: int, source: int, nbytes: int) -> None:
        """Copy within the GPU."""
        if nbytes:
            self.gpu.driver.call("cuMemcpyDtoDAsync_v2", target, source, nbytes, self.stream)

    def clear(self, address: int, words: int) -> None:
        """Set so many words of 4 bytes to zero."""
        self.gpu.driver.call("cuMemsetD32Async", address, 0, words, self.stream)

    def wait(self) -> None:
        """Wait for the work so far."""
        self.gpu.driver.call("cuStreamSynchronize", self.stream)

    def borrow(self, value: Any) -> None:
        """Note that this stream uses a tensor of the caller."""


class TorchQueue(CudaQueue):
    """torch's current stream, with memory of torch's own allocator, so that the two do not compete."""

    def __init__(self, gpu: Gpu, torch: Any) -> None:
        self._stream = torch.cuda.current_stream(gpu.ordinal)
        super().__init__(gpu, self._stream.cuda_stream)
        self._cuda = torch.cuda
        self.key = (self.stream, "torch")

    def allocate(self, nbytes: int, what: str = "tensors") -> int:
        """Return the address of memory that torch manages."""
        if not nbytes:
            return 0
        try:
            address: int = self._cuda.caching_allocator_alloc(nbytes, self.gpu.ordinal, self._stream)
        except RuntimeError as error:
            # torch's OutOfMemoryError is one, and tells how much there is.
            raise DeviceError(
                f"{self.gpu.name} has not {amount(nbytes)} for {what}: {error}",
                fix="free memory of other programs or tensors, or call with smaller ones",
            ) from error
        return address

    def free(self, address: int) -> None:
        """Give it back to torch, which orders its next use after the work so far."""
        self._cuda.caching_allocator_delete(address)

    def borrow(self, value: Any) -> None:
        """Keep torch from reusing the memory before this stream is done with it."""
        value.record_stream(self._stream)


class PinnedWords:
    """Zeroed words of 4 bytes of the host that the GPU copies to without a detour; they live as long as the process.

    They are few and small, and freeing them would wait for the GPU.
    """

    def __init__(self, gpu: Gpu, count: int) -> None:
        self.address = gpu.driver.handle("cuMemHostAlloc", 4 * count, 0)
        self.words = (ctypes.c_int32 * count).from_address(self.address)
        ctypes.memset(self.address, 0, 4 * count)
