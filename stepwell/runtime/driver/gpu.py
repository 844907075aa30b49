"""One GPU of this machine: its primary context, what it can do, its own stream, and memory that executables share."""

import ctypes
import threading
import weakref
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from stepwell.runtime.driver.library import Driver, open_driver
from stepwell.support.errors import DeviceError, InvalidOptionError

_MAJOR, _MINOR, _MULTIPROCESSORS = 75, 76, 16
_RELEASE_THRESHOLD = 4
_NON_BLOCKING = 1


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
        event: handle of an event that orders work of two streams.
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

    def free_memory(self) -> tuple[int, int]:
        """Return the bytes that are free, and all bytes."""
        free, total = ctypes.c_size_t(), ctypes.c_size_t()
        self.driver.call("cuMemGetInfo_v2", ctypes.byref(free), ctypes.byref(total))
        return free.value, total.value


class Block:
    """Memory of a GPU that lives as long as this object.

    Attributes:
        address: where it starts; a multiple of 256, or 0 where it has no bytes.
    """

    def __init__(self, gpu: Gpu, nbytes: int, what: str) -> None:
        self.address = allocate(gpu, nbytes, gpu.stream, what) if nbytes else 0
        if self.address:
            weakref.finalize(self, _free, gpu, self.address)


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


def _free(gpu: Gpu, address: int) -> None:
    # Work of any stream may still use it: a whole wait is right, and rare.
    driver = gpu.driver
    if driver.attempt("cuCtxPushCurrent_v2", gpu.context) == 0:
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


def known_gpus() -> Sequence[Gpu]:
    """Return the GPUs that this process uses."""
    return list(_gpus.values())
