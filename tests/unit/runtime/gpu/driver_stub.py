"""A CUDA driver without a GPU: records every call, keeps device memory in this process, and runs kernels of Python.

It stands where ``libcuda.so.1`` would: the runtime calls it through the same C function pointers, from Python and from
the launcher's machine code alike.  ``fail`` makes a function return an error code; ``kernels`` gives entries a meaning.
"""

import ctypes
import struct
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

# (parameters as 64-bit words, blocks, threads)
Kernel = Callable[[tuple[int, ...], int, int], None]

_U64, _U32, _I32 = ctypes.c_uint64, ctypes.c_uint32, ctypes.c_int32
_LETTERS = {"i": ctypes.c_int, "u": ctypes.c_uint, "z": ctypes.c_size_t, "p": ctypes.c_size_t}
_SHAPES = {"cuLaunchKernel": "zuuuuuuuzpp", "cuLaunchKernelEx": "pzpp"}
_ATTRIBUTES = {75: "major", 76: "minor", 16: "multiprocessors"}


@dataclass(frozen=True)
class Launched:
    """A launch as the driver saw it."""

    entry: str
    blocks: int
    threads: int
    shared: int
    cluster: int
    stream: int
    parameters: bytes

    @property
    def words(self) -> tuple[int, ...]:
        return struct.unpack(f"<{len(self.parameters) // 8}Q", self.parameters)


class DriverStub:
    """The driver.

    Attributes:
        calls: (function, arguments) in order.
        launches: what was launched.
        wrong: what calls did wrong.
        memory: device memory in use, by address.
        fail: error code by function name, for one call.
        fail_when, fail_code: which calls fail, and how.
    """

    def __init__(self, signatures: dict[str, str], *, version: int = 13000, major: int = 9, minor: int = 0) -> None:
        self.version = version
        self.count = 1
        self.major, self.minor, self.multiprocessors = major, minor, 132
        self.calls: list[tuple[str, tuple[int, ...]]] = []
        self.launches: list[Launched] = []
        self.memory: dict[int, Any] = {}
        self.limit = 1 << 40
        self.fail: dict[str, int] = {}
        self.fail_when: Callable[[str], bool] = lambda name: False
        self.fail_code = 0
        self.kernels: dict[str, Kernel] = {}
        self.missing: set[str] = set()
        self.wrong: list[str] = []
        self.contexts: list[int] = []
        self.capturing: int | None = None
        self.captured: list[Callable[[], None]] = []
        self.graphs: dict[int, list[Callable[[], None]]] = {}
        self.modules: dict[int, bytes] = {}
        self.functions: dict[int, str] = {}
        self._handles = iter(range(0x1000, 1 << 20, 0x10))
        self._texts: dict[int, Any] = {}
        self._pointers: dict[str, Any] = {}
        self._signatures = signatures | _SHAPES

    # What the runtime sees.

    def find(self, name: str) -> int:
        """Return the address of a function."""
        if name in self.missing:
            return 0
        if name not in self._pointers:
            types = [_LETTERS[letter] for letter in self._signatures[name]]
            self._pointers[name] = ctypes.CFUNCTYPE(ctypes.c_int, *types)(lambda *args: self._dispatch(name, args))
        return ctypes.cast(self._pointers[name], ctypes.c_void_p).value or 0

    def names(self) -> list[str]:
        return [name for name, _ in self.calls]

    def counts(self) -> Counter[str]:
        return Counter(self.names())

    def forget(self) -> None:
        self.calls.clear()
        self.launches.clear()

    def _dispatch(self, name: str, args: tuple[int, ...]) -> int:
        if name not in ("cuGetErrorName", "cuGetErrorString"):
            self.calls.append((name, args))
        if name in self.fail:
            return self.fail.pop(name)
        if self.fail_when(name):
            return self.fail_code
        try:
            return getattr(self, name.removesuffix("_v2"), lambda *_: 0)(*args) or 0
        except Exception as error:
            # An exception does not pass through C.
            self.wrong.append(f"{name}{args}: {error!r}")
            return 999

    def _store(self, pointer: int, value: int, kind: Any = _U64) -> None:
        kind.from_address(pointer).value = value

    def _new(self, pointer: int) -> int:
        handle = next(self._handles)
        self._store(pointer, handle)
        return handle

    @contextmanager
    def stream_work(self, stream: int) -> Iterator[list[Callable[[], None]]]:
        """Collect work, then do it at once, or keep it where the stream is being captured."""
        work: list[Callable[[], None]] = []
        yield work
        if self.capturing == stream:
            self.captured += work
        else:
            for step in work:
                step()

    # The functions.

    def cuDriverGetVersion(self, out: int) -> None:
        self._store(out, self.version, _I32)

    def cuGetErrorName(self, code: int, out: int) -> None:
        text = self._texts.setdefault(code, ctypes.create_string_buffer(f"CUDA_ERROR_{code}".encode()))
        self._store(out, ctypes.addressof(text))

    def cuGetErrorString(self, code: int, out: int) -> None:
        text = self._texts.setdefault(-code, ctypes.create_string_buffer(b"what it means"))
        self._store(out, ctypes.addressof(text))

    def cuDeviceGetCount(self, out: int) -> None:
        self._store(out, self.count, _I32)

    def cuDeviceGet(self, out: int, ordinal: int) -> None:
        self._store(out, ordinal, _I32)

    def cuDeviceGetName(self, out: int, size: int, device: int) -> None:
        ctypes.memmove(out, b"Stub GPU\0", 9)

    def cuDeviceGetAttribute(self, out: int, attribute: int, device: int) -> None:
        self._store(out, getattr(self, _ATTRIBUTES[attribute]), _I32)

    def cuDeviceGetDefaultMemPool(self, out: int, device: int) -> None:
        self._new(out)

    def cuDevicePrimaryCtxRetain(self, out: int, device: int) -> None:
        self._store(out, 0xC0)

    def cuCtxPushCurrent(self, context: int) -> None:
        self.contexts.append(context)

    def cuCtxPopCurrent(self, out: int) -> int:
        if not self.contexts:
            return 201
        self._store(out, self.contexts.pop())
        return 0

    def cuMemGetInfo(self, free: int, total: int) -> None:
        self._store(free, max(self.limit - sum(len(block) for block in self.memory.values()), 0))
        self._store(total, self.limit)

    def cuModuleLoadDataEx(self, out: int, image: int, count: int, options: int, values: int) -> None:
        self.modules[self._new(out)] = ctypes.string_at(image, 4)

    def cuModuleUnload(self, module: int) -> None:
        del self.modules[module]

    def cuModuleGetFunction(self, out: int, module: int, name: int) -> None:
        self.functions[self._new(out)] = ctypes.string_at(name).decode()

    def cuMemAllocAsync(self, out: int, size: int, stream: int) -> int:
        assert self.contexts, "no context is current"
        if sum(len(block) for block in self.memory.values()) + size > self.limit:
            return 2
        block = np.zeros(size + 256, np.uint8)
        # What nothing wrote must not look like a result.
        block[:] = 0xA5
        address = -(-block.ctypes.data // 256) * 256
        self.memory[address] = block
        self._store(out, address)
        return 0

    def cuMemFreeAsync(self, address: int, stream: int) -> int:
        return 0 if self.memory.pop(address, None) is not None else 1

    def cuMemHostAlloc(self, out: int, size: int, flags: int) -> None:
        block = np.zeros(size, np.uint8)
        self._texts[block.ctypes.data + (1 << 60)] = block
        self._store(out, block.ctypes.data)

    def _copy(self, target: int, source: int, size: int, stream: int) -> None:
        with self.stream_work(stream) as work:
            work.append(lambda: ctypes.memmove(target, source, size) and None)

    cuMemcpyHtoDAsync = cuMemcpyDtoHAsync = cuMemcpyDtoDAsync = _copy

    def cuMemsetD32Async(self, address: int, value: int, count: int, stream: int) -> None:
        with self.stream_work(stream) as work:
            work.append(lambda: ctypes.memset(address, value, 4 * count) and None)

    def cuStreamCreate(self, out: int, flags: int) -> None:
        self._new(out)

    def cuEventCreate(self, out: int, flags: int) -> None:
        assert self.contexts, "no context is current"
        self._new(out)

    def cuEventElapsedTime(self, out: int, begin: int, end: int) -> None:
        self._store(out, 0.25, ctypes.c_float)

    def cuStreamBeginCapture(self, stream: int, mode: int) -> None:
        self.capturing, self.captured = stream, []

    def cuStreamEndCapture(self, stream: int, out: int) -> None:
        self.graphs[self._new(out)] = self.captured
        self.capturing = None

    def cuGraphInstantiateWithFlags(self, out: int, graph: int, flags: int) -> None:
        self.graphs[self._new(out)] = self.graphs[graph]

    def cuGraphLaunch(self, graph: int, stream: int) -> None:
        for step in self.graphs[graph]:
            step()

    def cuGraphDestroy(self, graph: int) -> None:
        del self.graphs[graph]

    cuGraphExecDestroy = cuGraphDestroy

    def cuTensorMapEncodeTiled(self, out: int, dtype: int, rank: int, address: int, *rest: int) -> None:
        assert out % 64 == 0
        struct.pack_into("<QQQ", (ctypes.c_char * 128).from_address(out), 0, 0x7E45, address, dtype << 8 | rank)

    def cuLaunchKernel(self, function: int, *args: int) -> None:
        (x, y, z), (threads, p, q), shared, stream, params, extra = args[:3], args[3:6], *args[6:]
        assert (y, z, p, q, params) == (1, 1, 1, 1, 0)
        self._launch(function, x, threads, shared, 1, stream, extra)

    def cuLaunchKernelEx(self, config: int, function: int, params: int, extra: int) -> None:
        x, y, z, threads, p, q, shared = (_U32 * 7).from_address(config)
        stream, attributes, count = (_U64 * 3).from_address(config + 32)
        identifier, _, *cluster = (_U32 * 5).from_address(attributes)
        assert (y, z, p, q, params, count & 0xFFFFFFFF, identifier, cluster[1:]) == (1, 1, 1, 1, 0, 1, 4, [1, 1])
        self._launch(function, x, threads, shared, cluster[0], stream, extra)

    def _launch(
        self, function: int, blocks: int, threads: int, shared: int, cluster: int, stream: int, extra: int
    ) -> None:
        assert self.contexts, "no context is current"
        first, buffer, second, size, end = (_U64 * 5).from_address(extra)
        assert (first, second, end) == (1, 2, 0)
        parameters = ctypes.string_at(buffer, _U64.from_address(size).value)
        found = Launched(self.functions[function], blocks, threads, shared, cluster, stream, parameters)
        self.launches.append(found)
        kernel = self.kernels.get(found.entry)
        with self.stream_work(stream) as work:
            if kernel is not None:
                work.append(lambda: kernel(found.words, blocks, threads))


def words_at(address: int, count: int, dtype: Any = np.float32) -> "np.ndarray[Any, Any]":
    """Return device memory as an array."""
    item = np.dtype(dtype)
    return np.frombuffer((ctypes.c_char * (count * item.itemsize)).from_address(address), item)


def add(words: tuple[int, ...], blocks: int, threads: int) -> None:
    """out = a + b."""
    a, b, out, n = words[:4]
    if n:
        words_at(out, n)[:] = words_at(a, n) + words_at(b, n)


def take(words: tuple[int, ...], blocks: int, threads: int) -> None:
    """out[i] = table[index[i]]; status 1 where an index is out of range."""
    table, index, out, rows, n, _, status = words[:7]
    where = words_at(index, n, np.int64)
    bad = (where < 0) | (where >= rows)
    if bad.any():
        words_at(status, 1, np.int32)[0] = 1
    words_at(out, n)[:] = words_at(table, rows)[np.where(bad, 0, where)]
