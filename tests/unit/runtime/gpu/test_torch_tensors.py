"""torch tensors on a GPU: torch's stream and memory, tensors in place; with what stands for torch's CUDA side."""

import sys
from collections.abc import Callable, Iterator
from types import ModuleType, SimpleNamespace
from typing import Any

import driver_stub
import numpy as np
import pytest
from driver_stub import DriverStub

from stepwell.runtime import tensors
from stepwell.runtime.executable import Executable
from stepwell.support.dtypes import DType
from stepwell.support.errors import ArgumentError, DeviceError

Make = Callable[..., Executable]
STREAM = 0x5A0


class Tensor:
    """As much of ``torch.Tensor`` as the runtime uses."""

    def __init__(self, torch: "Torch", array: Any, device: Any) -> None:
        self.torch, self.array, self.device = torch, array, device
        self.block = np.zeros(array.nbytes + 512, np.uint8)
        self.pointer = -(-self.block.ctypes.data // 256) * 256
        driver_stub.words_at(self.pointer, array.size)[:] = array.reshape(-1)
        self.shape, self.dtype, self.layout = array.shape, "torch.float32", "strided"
        self.recorded: list[int] = []
        self.contiguous_now = True

    def is_contiguous(self) -> bool:
        return self.contiguous_now

    def contiguous(self) -> "Tensor":
        return Tensor(self.torch, self.numpy(), self.device)

    def cpu(self) -> "Any":
        # What torch_kind() views as numpy.
        return self.numpy()

    def detach(self) -> "Tensor":
        return self

    def copy_(self, source: "Tensor") -> None:
        driver_stub.words_at(self.pointer, self.array.size)[:] = source.numpy().reshape(-1)

    def data_ptr(self) -> int:
        return self.pointer

    def numel(self) -> int:
        return int(self.array.size)

    def element_size(self) -> int:
        return 4

    def stride(self) -> tuple[int, ...]:
        return tuple(step // 4 for step in self.array.strides)

    def record_stream(self, stream: Any) -> None:
        self.recorded.append(stream.cuda_stream)

    def numpy(self) -> Any:
        return driver_stub.words_at(self.pointer, self.array.size).reshape(self.shape).copy()


class Torch(ModuleType):
    """As much of torch as the runtime uses."""

    Tensor = Tensor
    strided = "strided"

    def __init__(self) -> None:
        super().__init__("torch")
        for dtype in DType:
            setattr(self, dtype.label, f"torch.{dtype.label}")
        self.allocated: dict[int, Any] = {}
        self.full = False
        self.cuda = SimpleNamespace(
            current_stream=lambda ordinal: SimpleNamespace(cuda_stream=STREAM),
            caching_allocator_alloc=self._allocate,
            caching_allocator_delete=lambda address: self.allocated.pop(address),
        )

    def device(self, kind: str, index: int | None = None) -> Any:
        return SimpleNamespace(type=kind, index=index)

    def empty(self, shape: Any, dtype: Any, device: Any) -> Tensor:
        return Tensor(self, np.full(shape, np.nan, np.float32), device)

    def _allocate(self, size: int, ordinal: int, stream: Any) -> int:
        if self.full:
            raise RuntimeError("CUDA out of memory")
        assert stream.cuda_stream == STREAM
        block = np.zeros(size + 256, np.uint8)
        address = -(-block.ctypes.data // 256) * 256
        self.allocated[address] = block
        return address


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> Iterator[Torch]:
    torch = Torch()
    monkeypatch.setitem(sys.modules, "torch", torch)
    monkeypatch.setattr(tensors, "_torch_kind", None)
    yield torch


def on_gpu(torch: Torch, array: Any, index: int = 0) -> Tensor:
    return Tensor(torch, array, torch.device("cuda", index))


def draw(rng: np.random.Generator, *shape: int) -> "np.ndarray[Any, Any]":
    return rng.standard_normal(shape).astype(np.float32)


def test_in_place_on_torchs_stream(stub: DriverStub, fake: Torch, chain: Make, rng: np.random.Generator) -> None:
    exe = chain("cuda")
    x, z = on_gpu(fake, draw(rng, 3, 4)), on_gpu(fake, draw(rng, 3, 4))
    y = exe(x, z)
    assert type(y) is Tensor
    np.testing.assert_array_equal(y.numpy(), x.numpy() + x.numpy() + z.numpy())
    assert {launch.stream for launch in stub.launches} == {STREAM}
    assert stub.launches[0].words[0] == x.data_ptr()
    assert x.recorded == z.recorded == [STREAM]
    # Scratch memory is torch's, and nothing is allocated, copied or waited for in later calls.
    assert len(fake.allocated) == 2
    stub.forget()
    exe(x, z)
    assert len(fake.allocated) == 2
    assert set(stub.names()) == {"cuCtxPushCurrent_v2", "cuLaunchKernel", "cuCtxPopCurrent_v2"}


def test_strided_tensors_are_packed_by_torch(
    stub: DriverStub, fake: Torch, chain: Make, rng: np.random.Generator
) -> None:
    x, z = on_gpu(fake, draw(rng, 3, 4)), on_gpu(fake, draw(rng, 3, 4))
    x.contiguous_now = False
    y = chain("cuda")(x, z)
    np.testing.assert_array_equal(y.numpy(), x.numpy() + x.numpy() + z.numpy())
    assert stub.launches[0].words[0] != x.data_ptr()


def test_mixed_with_numpy(stub: DriverStub, fake: Torch, chain: Make, rng: np.random.Generator) -> None:
    x, z = on_gpu(fake, draw(rng, 3, 4)), draw(rng, 3, 4)
    y = chain("cuda")(x, z)
    assert type(y) is Tensor
    np.testing.assert_array_equal(y.numpy(), x.numpy() + x.numpy() + z)
    assert stub.counts()["cuMemcpyHtoDAsync_v2"] == 1


def test_weights_on_the_gpu(stub: DriverStub, fake: Torch, buffers: Make, rng: np.random.Generator) -> None:
    """A model that lies on a GPU gives its weights from there."""
    w, ones = on_gpu(fake, draw(rng, 4)), np.ones(4, np.float32)
    exe = buffers("cuda", w=w, step=ones, count=on_gpu(fake, 0 * ones))
    got = exe(ones)
    np.testing.assert_array_equal(got["y"], 1 + (w.numpy() + w.numpy()))
    assert got["count"].tolist() == [1] * 4


def test_graphs(stub: DriverStub, fake: Torch, chain: Make, rng: np.random.Generator) -> None:
    x, z = on_gpu(fake, draw(rng, 3, 4)), on_gpu(fake, draw(rng, 3, 4))
    graph = chain("cuda").cuda_graph(x, z)
    y = graph(z, x)
    np.testing.assert_array_equal(y.numpy(), z.numpy() + z.numpy() + x.numpy())
    assert [args[1] for name, args in stub.calls if name == "cuGraphLaunch"] == [STREAM]


def test_refusals(stub: DriverStub, fake: Torch, chain: Make, rng: np.random.Generator) -> None:
    exe = chain("cuda")
    x = on_gpu(fake, draw(rng, 3, 4))
    with pytest.raises(ArgumentError, match="argument 'z' must be on device cuda:0, got cuda:1"):
        exe(x, on_gpu(fake, draw(rng, 3, 4), index=1))
    fake.full = True
    with pytest.raises(DeviceError, match=r"Stub GPU has not \d+ bytes for status slots: CUDA out of memory"):
        exe(x, x)
    fake.full = False
    np.testing.assert_array_equal(exe(x, x).numpy(), x.numpy() * 3)
