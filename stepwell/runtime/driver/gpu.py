"""One GPU of this machine: its primary context, what it can do, its own stream, and memory that executables share."""

import ctypes
import threading
import weakref
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from stepwell.runtime.driver.library import Driver, open_driver
from stepwell.support.errors import DeviceError, InvalidOptionError

_MAJOR, _MINOR, _MULTIPROCESSORS = 75, 76, 16
_RELEASE_THRESHOLD = 4
_NON_BLOCKING = 1
NO_TIMING = 2
_NOT_READY = 600


class Gpu:
    """A GPU.

    Args:
        driver: the driver.
        ordinal: its number.

    Attributes:
        name: the product's name.
        capability: (major, minor) of the compute capability.
        multiprocessors: how many it has.
        context: handle of the primary context, which torch and other libraries use too.
        stream: handle of a stream of ours.
    """

    def __init__(self, driver: Driver, ordinal: int) -> None:
        self.driver = driver
        self.ordinal = ordinal
        device = ctypes.c_int()
        driver.call("cuDeviceGet", ctypes.byref(device), ordinal, doing=f"GPU {ordinal} cannot be used")
        self._device = device.value
        text = ctypes.create_string_buffer(256)
        driver.call("cuDeviceGetName", text, len(text), self._device)
        self.name = text.value.decode(errors="replace")
        self.capability = (self._attribute(_MAJOR), self._attribute(_MINOR))
        self.multiprocessors = self._attribute(_MULTIPROCESSORS)
        self.context = driver.handle("cuDevicePrimaryCtxRetain", self._device, doing=f"{self.name} cannot be used")
        self.lock = threading.RLock()
        self._borrowed: deque[tuple[int, list[Any]]] = deque()
        # Weights by their content, as long as somebody uses them.
        self.shared: weakref.WeakValueDictionary[tuple[bytes, int], Block] = weakref.WeakValueDictionary()
        with self.current():
            self.stream = driver.handle("cuStreamCreate", _NON_BLOCKING)
            self._keep_freed_memory()

    @property
    def arch(self) -> str:
        """The architecture, such as "sm_90"."""
        return f"sm_{self.capability[0]}{self.capability[1]}"

    def _attribute(self, number: int) -> int:
        value = ctypes.c_int()
        self.driver.call("cuDeviceGetAttribute", ctypes.byref(value), number, self._device)
        return value.value

    def _keep_freed_memory(self) -> None:
        """Let the pool keep what is freed: giving it back at each synchronisation would make the next call wait."""
        pool = self.driver.handle("cuDeviceGetDefaultMemPool", self._device, doing=f"{self.name} has no memory pools")
        most = ctypes.c_uint64(2**64 - 1)
        self.driver.call("cuMemPoolSetAttribute", pool, _RELEASE_THRESHOLD, ctypes.byref(most))

    @contextmanager
    def current(self) -> Iterator[None]:
        """Make the context the calling thread's own meanwhile."""
        self.driver.call("cuCtxPushCurrent_v2", self.context)
        try:
            yield
        finally:
            self.driver.call("cuCtxPopCurrent_v2", ctypes.byref(ctypes.c_size_t()))

    def borrow(self, stream: int, values: list[Any]) -> None:
        """Keep values alive until a stream has done its work so far; the context is current."""
        self.return_borrowed()
        event = self.driver.handle("cuEventCreate", NO_TIMING)
        self.driver.call("cuEventRecord", event, stream)
        with self.lock:
            self._borrowed.append((event, values))

    def return_borrowed(self) -> None:
        """Let go of the values whose streams are done with them."""
        with self.lock:
            while self._borrowed and self.driver.attempt("cuEventQuery", self._borrowed[0][0]) != _NOT_READY:
                event, _ = self._borrowed.popleft()
                self.driver.attempt("cuEventDestroy_v2", event)

    def free_memory(self) -> tuple[int, int]:
        """Return the bytes that are free, and all bytes."""
        free, total = ctypes.c_size_t(), ctypes.c_size_t()
        self.driver.call("cuMemGetInfo_v2", ctypes.byref(free), ctypes.byref(total))
        return free.value, total.value


class Block:
    """Memory of a GPU that lives as long as this object.

    Args:
        gpu: the GPU.
        nbytes: how much.
        what: what it is for, in errors.
        ordered: whether all who use it do so in the order of one stream at a time, noted by ``use_on``; else freeing it
            waits for the whole GPU, which is right for memory that hardly ever goes.

    Attributes:
        address: where it starts; a multiple of 256, or 0 where it has no bytes.
    """

    def __init__(self, gpu: Gpu, nbytes: int, what: str, *, ordered: bool = False) -> None:
        self.address = allocate(gpu, nbytes, gpu.stream, what) if nbytes else 0
        self._last = [gpu.stream]
        if self.address:
            weakref.finalize(self, _free, gpu, self.address, self._last if ordered else None)

    def use_on(self, stream: int) -> None:
        """Note that the memory is used on a stream from now on."""
        self._last[0] = stream


def allocate(gpu: Gpu, nbytes: int, stream: int, what: str) -> int:
    """Return memory of the stream-ordered pool, in the current context; raises DeviceError."""
    found = ctypes.c_size_t()
    code = gpu.driver.attempt("cuMemAllocAsync", ctypes.byref(found), nbytes, stream)
    if code:
        free, total = gpu.free_memory()
        amounts = f"{amount(nbytes)} for {what}; {amount(free)} of {amount(total)} are free"
        gpu.driver.call("cuMemAllocAsync", ctypes.byref(found), nbytes, stream, doing=f"{gpu.name} has not {amounts}")
    return found.value


def amount(nbytes: int) -> str:
    """Return a number of bytes for people."""
    return f"{nbytes} bytes" if nbytes < 100_000 else f"{nbytes / 1e6:.1f} MB"


def order(gpu: Gpu, *, before: int, after: int) -> None:
    """Let stream ``after`` wait for what stream ``before`` has to do so far."""
    if before == after:
        return
    event = gpu.driver.handle("cuEventCreate", NO_TIMING)
    try:
        gpu.driver.call("cuEventRecord", event, before)
        gpu.driver.call("cuStreamWaitEvent", after, event, 0)
    finally:
        gpu.driver.call("cuEventDestroy_v2", event)


def _free(gpu: Gpu, address: int, last: list[int] | None) -> None:
    driver = gpu.driver
    if driver.attempt("cuCtxPushCurrent_v2", gpu.context) == 0:
        try:
            if last is None:
                driver.call("cuCtxSynchronize")
            else:
                order(gpu, before=last[0], after=gpu.stream)
        except DeviceError:
            # A broken GPU, or a stream that its owner has destroyed.
            driver.attempt("cuCtxSynchronize")
        driver.attempt("cuMemFreeAsync", address, gpu.stream)
        driver.attempt("cuCtxPopCurrent_v2", ctypes.byref(ctypes.c_size_t()))


def ordinal_of(text: str) -> int:
    """Return the number of a GPU, 0 for ""; raises InvalidOptionError."""
    if not (text or "0").isdigit():
        raise InvalidOptionError(f"unknown device 'cuda:{text}'", fix="use cuda, cuda:0, cuda:1, ...")
    return int(text or 0)


_gpus: dict[int, Gpu] = {}
_gpus_lock = threading.Lock()


def find_gpu(ordinal: int = 0) -> Gpu:
    """Return a GPU of this machine, the same object each time; raises DeviceError."""
    with _gpus_lock:
        if ordinal not in _gpus:
            driver = open_driver()
            count = ctypes.c_int()
            driver.call("cuDeviceGetCount", ctypes.byref(count))
            if not count.value:
                raise DeviceError("the NVIDIA driver finds no GPU", fix="device='sim' runs without a GPU")
            if not 0 <= ordinal < count.value:
                raise DeviceError(
                    f"there is no GPU {ordinal}: this machine has {count.value}", fix="use device='cuda:0' and so on"
                )
            _gpus[ordinal] = Gpu(driver, ordinal)
        return _gpus[ordinal]
