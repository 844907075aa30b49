"""A CUDA driver whose GPU is the simulator: the whole road to a GPU, with real kernels, on a machine without one."""

import ctypes
import struct
from typing import Any

import numpy as np
from driver_stub import DriverStub, Launched

from stepwell.runtime.simulator import SimModule, Simulator, TensorMapValue

_DTYPES = ("uint8", "uint16", "uint32", "int32", "uint64", "int64", "float16", "float32", "float64", "bfloat16")
_SWIZZLES = (0, 32, 64, 128)
_MAGIC = 0x7E45


class SimulatedDriver(DriverStub):
    """Device memory lies in the simulator; modules are PTX, which is all that it runs."""

    def __init__(self, signatures: dict[str, str], **options: Any) -> None:
        super().__init__(signatures, **options)
        self.simulator = Simulator(arch="sm_90a")
        self.loaded: dict[int, SimModule] = {}
        self.homes: dict[int, int] = {}
        self.maps: list[TensorMapValue] = []

    def cuModuleLoadDataEx(self, out: int, image: int, count: int, options: int, values: int) -> int:
        text = ctypes.string_at(image)
        if b".version" not in text:
            return 209
        handle = self._new(out)
        self.modules[handle] = text[:4]
        self.loaded[handle] = self.simulator.load(text.decode())
        return 0

    def cuModuleGetFunction(self, out: int, module: int, name: int) -> None:
        super().cuModuleGetFunction(out, module, name)
        self.homes[ctypes.c_uint64.from_address(out).value] = module

    def cuMemAllocAsync(self, out: int, size: int, stream: int) -> int:
        address = self.simulator.allocate(size)
        self.memory[address] = range(size)
        self._store(out, address)
        return 0

    def cuMemFreeAsync(self, address: int, stream: int) -> int:
        if self.memory.pop(address, None) is None:
            return 1
        self.simulator.free(address)
        return 0

    def cuMemcpyHtoDAsync(self, target: int, source: int, size: int, stream: int) -> None:
        data = ctypes.string_at(source, size)
        with self.stream_work(stream) as work:
            work.append(lambda: self.simulator.write(target, data))

    def cuMemcpyDtoHAsync(self, target: int, source: int, size: int, stream: int) -> None:
        with self.stream_work(stream) as work:
            work.append(lambda: ctypes.memmove(target, self.simulator.read(source, size), size) and None)

    def cuMemcpyDtoDAsync(self, target: int, source: int, size: int, stream: int) -> None:
        with self.stream_work(stream) as work:
            work.append(lambda: self.simulator.write(target, self.simulator.read(source, size)))

    def cuMemsetD32Async(self, address: int, value: int, count: int, stream: int) -> None:
        with self.stream_work(stream) as work:
            work.append(lambda: self.simulator.write(address, np.full(count, value, np.uint32)))

    def cuTensorMapEncodeTiled(
        self, out: int, dtype: int, rank: int, address: int, sizes: int, strides: int, box: int, steps: int, *rest: int
    ) -> None:
        def numbers(place: int, count: int, kind: Any) -> tuple[int, ...]:
            return tuple((kind * count).from_address(place)) if count else ()

        interleave, swizzle, _, fill = rest
        assert out % 64 == interleave == fill == 0
        value = TensorMapValue(
            address,
            _DTYPES[dtype],
            numbers(sizes, rank, ctypes.c_uint64),
            numbers(strides, rank - 1, ctypes.c_uint64),
            numbers(box, rank, ctypes.c_uint32),
            _SWIZZLES[swizzle],
            numbers(steps, rank, ctypes.c_uint32),
        )
        struct.pack_into("<QQ", (ctypes.c_char * 128).from_address(out), 0, _MAGIC, len(self.maps))
        self.maps.append(value)

    def _launch(self, function: int, *rest: int) -> None:
        super()._launch(function, *rest)
        found = self.launches[-1]
        module = self.loaded[self.homes[function]]
        with self.stream_work(found.stream) as work:
            work.append(lambda: self._simulate(module, found))

    def _simulate(self, module: SimModule, found: Launched) -> None:
        maps = {}
        for offset in range(64, len(found.parameters) - 127, 64):
            magic, number = struct.unpack_from("<QQ", found.parameters, offset)
            if magic == _MAGIC:
                maps[offset] = self.maps[number]
        self.simulator.launch(
            module,
            found.entry,
            found.blocks,
            found.threads,
            found.parameters,
            shared_bytes=found.shared,
            cluster=found.cluster,
            tensor_maps=maps,
        )
