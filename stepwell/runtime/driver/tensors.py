"""Tensors in a GPU's memory: torch's, and those of every library that speaks the CUDA array interface or DLPack."""

from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np

from stepwell.runtime.binding import Shape
from stepwell.runtime.dlpack import CUDA, Region, make_capsule, read_capsule
from stepwell.runtime.driver.gpu import Block, Gpu, order
from stepwell.runtime.driver.queues import CudaQueue
from stepwell.runtime.tensors import NUMPY, Array, TensorKind, TorchKind, first_foreign, recognise, torch_kind
from stepwell.support.dtypes import DType
from stepwell.support.errors import ArgumentError

# The protocols have a number of their own for the default stream.
_NAMED_STREAMS = {0: 1}
_NUMPY = {dtype: dtype.numpy for dtype in DType}


class DeviceArray:
    """A tensor in a GPU's memory, for libraries that read ``__cuda_array_interface__`` or DLPack.

    Attributes:
        shape, dtype: sizes and numpy element type.
        address: of the first element.
        strides: bytes between neighbours; None for row-major order without gaps.
        stream: handle of the stream in whose order the elements are there.
        foreign: whether the memory is another library's, and may go with the last who holds its tensor.
    """

    def __init__(
        self, gpu: Gpu, address: int, shape: Shape, dtype: DType, stream: int, owner: Any, strides: Shape | None = None
    ) -> None:
        self.gpu = gpu
        self.address = address
        self.shape = shape
        self.strides = strides
        self.stream = stream
        self.element = dtype
        self.dtype = _NUMPY[dtype]
        self.foreign = not isinstance(owner, Block)
        self._owner = owner

    def use_on(self, stream: int) -> None:
        """Let a stream use the elements, after what the last one did; the context is current."""
        if stream != self.stream:
            order(self.gpu, before=self.stream, after=stream)
            if isinstance(self._owner, Block):
                self._owner.use_on(stream)
            self.stream = stream

    def permute(self, dims: Sequence[int]) -> "DeviceArray":
        """Return a view with the dimensions in another order."""
        strides = self.strides or _row_major(self)
        shape = tuple(self.shape[dim] for dim in dims)
        return DeviceArray(
            self.gpu,
            self.address,
            shape,
            self.element,
            self.stream,
            self._owner,
            tuple(strides[dim] for dim in dims),
        )

    @property
    def nbytes(self) -> int:
        """Size of the elements."""
        return int(np.prod(self.shape, dtype=np.int64)) * self.element.itemsize

    @property
    def __cuda_array_interface__(self) -> dict[str, Any]:
        code = self.dtype.str
        stream = _NAMED_STREAMS.get(self.stream, self.stream)
        data = (self.address, False)
        strides = self.strides
        return {"shape": self.shape, "typestr": code, "data": data, "version": 3, "strides": strides, "stream": stream}

    def __dlpack_device__(self) -> tuple[int, int]:
        return CUDA, self.gpu.ordinal

    def __dlpack__(self, *, stream: int | None = None, **_: Any) -> Any:
        if stream is not None and stream != -1:
            with self.gpu.current():
                order(self.gpu, before=self.stream, after=0 if stream == 1 else stream)
        strides = None if self.strides is None else tuple(step // self.element.itemsize for step in self.strides)
        return make_capsule(Region(self.address, self.shape, strides, self.element, self.__dlpack_device__()), self)

    def numpy(self) -> Array:
        """Return a copy in the host's memory, after waiting for the elements; its dimensions lie in the same order."""
        if self.strides is not None:
            strides = self.strides
            order = sorted(range(len(strides)), key=lambda dim: -strides[dim])
            dense = _normal(self.permute(order))
            if dense.strides is not None:
                raise ArgumentError("only a tensor without gaps can be copied to the host as it lies")
            return dense.numpy().transpose(np.argsort(order))
        array = np.empty(self.shape, self.dtype)
        queue = CudaQueue(self.gpu, self.stream)
        with self.gpu.current():
            queue.download(array, self.address)
            queue.wait()
        return array


class DeviceKind:
    """Tensors of any library in a GPU's memory; results are ``DeviceArray``s."""

    on_host = False

    def __init__(self, gpu: Gpu) -> None:
        self._gpu = gpu

    def dtype(self, value: Any) -> Any:
        """Return the element type, which has our name already."""
        return value.element

    def to_dtype(self, dtype: Any) -> DType:
        """Return it."""
        found: DType = dtype
        return found

    def is_contiguous(self, value: Any) -> bool:
        """Tell whether the elements lie in row-major order without gaps."""
        return value.strides is None

    def address(self, value: Any) -> int:
        """Return the address of the first element."""
        address: int = value.address
        return address

    def view(self, value: Any, dtype: DType) -> Array:
        """Refuse: the host cannot read it."""
        raise AssertionError("memory of a GPU has no numpy view")

    def empty(self, shape: Shape, dtype: DType) -> Any:
        """Return fresh memory."""
        with self._gpu.current():
            block = Block(self._gpu, int(np.prod(shape, dtype=np.int64)) * dtype.itemsize, "a result", ordered=True)
        return DeviceArray(self._gpu, block.address, shape, dtype, self._gpu.stream, block)

    def pack(self, value: Any) -> Any:
        """Refuse: only the library that made a tensor can copy it element by element."""
        raise ArgumentError("a tensor of the GPU must be contiguous", fix="make a contiguous copy with its own library")

    def permute(self, value: Any, dims: Sequence[int]) -> Any:
        """Return a view of the same memory."""
        return value.permute(dims)

    def assign(self, value: Any, source: Any, dtype: DType) -> None:
        """Copy on the GPU."""
        if value.strides is not None:
            self.pack(value)
        with self._gpu.current():
            source.use_on(value.stream)
            CudaQueue(self._gpu, value.stream).copy(value.address, source.address, source.nbytes)

    def span(self, value: Any) -> tuple[int, int]:
        """Return the bounds of the memory."""
        if 0 in value.shape:
            return 0, 0
        strides = value.strides or _row_major(value)
        offsets = [step * (size - 1) for step, size in zip(strides, value.shape, strict=True)]
        low = value.address + sum(offset for offset in offsets if offset < 0)
        return low, value.address + sum(offset for offset in offsets if offset > 0) + value.dtype.itemsize


def _row_major(value: Any) -> list[int]:
    strides = [value.dtype.itemsize] * len(value.shape)
    for dim in range(len(strides) - 2, -1, -1):
        strides[dim] = strides[dim + 1] * value.shape[dim + 1]
    return strides


class TorchDeviceKind:
    """torch tensors in a GPU's memory."""

    on_host = False

    def __init__(self, host: TorchKind, ordinal: int) -> None:
        self.torch = host.torch
        self._host = host
        self._device = host.torch.device("cuda", ordinal)

    def dtype(self, value: Any) -> Any:
        """Return the torch dtype."""
        return value.dtype

    def to_dtype(self, dtype: Any) -> DType:
        """Return our name of a torch dtype."""
        return self._host.to_dtype(dtype)

    def is_contiguous(self, value: Any) -> bool:
        """Tell whether the tensor is contiguous."""
        contiguous: bool = value.is_contiguous()
        return contiguous

    def address(self, value: Any) -> int:
        """Return the data pointer."""
        pointer: int = value.data_ptr()
        return pointer

    def view(self, value: Any, dtype: DType) -> Array:
        """Refuse: the host cannot read it."""
        raise AssertionError("memory of a GPU has no numpy view")

    def empty(self, shape: Shape, dtype: DType) -> Any:
        """Return ``torch.empty`` on the GPU: torch's allocator, in the order of its current stream."""
        return self.torch.empty(shape, dtype=self._host.from_dtype(dtype), device=self._device)

    def pack(self, value: Any) -> Any:
        """Return ``value.contiguous()``, which torch enqueues on its current stream."""
        return value.contiguous()

    def permute(self, value: Any, dims: Sequence[int]) -> Any:
        """Return ``value.permute(dims)``."""
        return value.permute(dims)

    def assign(self, value: Any, source: Any, dtype: DType) -> None:
        """Let torch copy, on its current stream, whatever the strides."""
        value.detach().copy_(source)

    def span(self, value: Any) -> tuple[int, int]:
        """Return the bounds of the memory."""
        if not value.numel():
            return 0, 0
        last = sum(step * (size - 1) for step, size in zip(value.stride(), value.shape, strict=True))
        return value.data_ptr(), value.data_ptr() + (last + 1) * value.element_size()


class DeviceTensors:
    """Recognises the arguments of calls on one GPU."""

    def __init__(self, gpu: Gpu) -> None:
        self._gpu = gpu
        self._kind = DeviceKind(gpu)
        self._torch: TorchDeviceKind | None = None

    def recognise(self, value: Any, path: str) -> tuple[TensorKind, Any]:
        """Return a tensor of this GPU or of the host with its kind; raises ArgumentError."""
        host = torch_kind()
        if host is not None and isinstance(value, host.tensor_type):
            if value.device.type != "cuda":
                host.check_memory(value, path, also=f"cuda:{self._gpu.ordinal}")
                return host, value
            self._check_device(value.device.index, path)
            if self._torch is None:
                self._torch = TorchDeviceKind(host, self._gpu.ordinal)
            return self._torch, value
        if isinstance(value, DeviceArray):
            self._check_device(value.gpu.ordinal, path)
            return self._kind, value
        if hasattr(value, "__cuda_array_interface__"):
            return self._kind, self._from_interface(value, path)
        if hasattr(value, "__dlpack_device__") and int(value.__dlpack_device__()[0]) == CUDA:
            return self._kind, self._from_dlpack(value, path)
        return recognise(value, path)

    def result_kind(self, kinds: Sequence[TensorKind]) -> TensorKind:
        """Return the kind of the first argument on the GPU, or that of a host's library where all are there."""
        return next((kind for kind in kinds if not kind.on_host), None) or first_foreign(kinds)

    def _check_device(self, ordinal: int, path: str) -> None:
        if ordinal != self._gpu.ordinal:
            raise ArgumentError(f"argument '{path}' must be on device cuda:{self._gpu.ordinal}, got cuda:{ordinal}")

    def _from_interface(self, value: Any, path: str) -> DeviceArray:
        found = value.__cuda_array_interface__
        try:
            dtype = _element(found["typestr"])
        except (KeyError, TypeError) as error:
            raise ArgumentError(f"argument '{path}' has an element type that stepwell does not know: {error}") from None
        stream = found.get("stream")
        stream = self._gpu.stream if stream is None else 0 if stream == 1 else stream
        shape, strides = tuple(found["shape"]), found.get("strides")
        array = DeviceArray(self._gpu, found["data"][0], shape, dtype, stream, value, strides and tuple(strides))
        return _normal(array)

    def _from_dlpack(self, value: Any, path: str) -> DeviceArray:
        self._check_device(int(value.__dlpack_device__()[1]), path)
        try:
            capsule = value.__dlpack__(stream=self._gpu.stream)
            region = read_capsule(capsule)
        except (BufferError, RuntimeError, TypeError, ValueError, KeyError) as error:
            raise ArgumentError(f"argument '{path}' cannot be read through DLPack: {error}") from error
        size = region.dtype.itemsize
        strides = None if region.strides is None else tuple(step * size for step in region.strides)
        stream = self._gpu.stream
        return _normal(DeviceArray(self._gpu, region.address, region.shape, region.dtype, stream, capsule, strides))


@cache
def _element(code: str) -> DType:
    """Return the element type that numpy writes so; raises KeyError, TypeError."""
    return NUMPY.to_dtype(np.dtype(code))


def _normal(array: DeviceArray) -> DeviceArray:
    """Leave out strides that say no more than the shape."""
    if array.strides is not None:
        wanted = zip(array.strides, _row_major(array), array.shape, strict=True)
        if 0 in array.shape or all(step == usual or size == 1 for step, usual, size in wanted):
            array.strides = None
    return array
