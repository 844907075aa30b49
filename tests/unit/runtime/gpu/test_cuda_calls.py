"""Calls on a GPU: what the driver is asked to do, in which order, on which stream, with which arguments."""

import gc
import threading
import weakref
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from driver_stub import DriverStub
from foreign_tensors import Foreign

from stepwell.runtime.executable import Executable
from stepwell.support.errors import ArgumentError, RuntimeFailure

Make = Callable[..., Executable]


def draw(rng: np.random.Generator, *shape: int) -> "np.ndarray[Any, Any]":
    return rng.standard_normal(shape).astype(np.float32)


def test_host_tensors_go_and_come_back(stub: DriverStub, chain: Make, rng: np.random.Generator) -> None:
    exe = chain("cuda")
    for rows in (3, 0, 500, 3):
        x, z = draw(rng, rows, 4), draw(rng, rows, 4)
        np.testing.assert_array_equal(exe(x, z), x + x + z)
        t = exe(torch.from_numpy(x), torch.from_numpy(z))
        assert type(t) is torch.Tensor
        np.testing.assert_array_equal(t.numpy(), x + x + z)
    wide = draw(rng, 4, 12)
    np.testing.assert_array_equal(exe(wide.T[::3], draw(rng, 4, 4) * 0), 2 * wide.T[::3])
    assert stub.contexts == []


def test_order_stream_and_arguments(stub: DriverStub, chain: Make, rng: np.random.Generator) -> None:
    exe = chain("cuda")
    x, z = draw(rng, 3, 4), draw(rng, 3, 4)
    exe(x, z)
    stub.forget()
    exe(x, z)
    names = [name for name in stub.names() if not name.startswith("cuCtx")]
    assert names == [
        *("cuMemAllocAsync", "cuMemcpyHtoDAsync_v2") * 2,
        "cuMemAllocAsync",
        *("cuLaunchKernel",) * 2,
        "cuMemcpyDtoHAsync_v2",
        "cuStreamSynchronize",
        *("cuMemFreeAsync",) * 3,
    ]
    first, second = stub.launches
    assert (first.entry, first.blocks, first.threads, first.shared) == ("add_four", 1, 64, 0)
    assert first.stream == second.stream != 0
    assert first.words[0] == first.words[1]
    assert first.words[2] == second.words[0]
    assert first.words[3] == 12
    assert len(first.words) == 6


def test_scratch_memory_is_kept_and_freed(stub: DriverStub, chain: Make, rng: np.random.Generator) -> None:
    exe = chain("cuda")
    exe(draw(rng, 3, 4), draw(rng, 3, 4))
    kept = len(stub.memory)
    exe(draw(rng, 3, 4), draw(rng, 3, 4))
    exe(draw(rng, 2, 4), draw(rng, 2, 4))
    assert len(stub.memory) == kept
    exe(draw(rng, 3000, 4), draw(rng, 3000, 4))
    assert len(stub.memory) == kept
    assert len(stub.modules) == 1
    del exe
    gc.collect()
    assert stub.memory == {}
    assert stub.modules == {}


def test_tensors_in_place(stub: DriverStub, chain: Make, rng: np.random.Generator) -> None:
    exe = chain("cuda")
    x, z = draw(rng, 3, 4), draw(rng, 3, 4)
    theirs, other = Foreign(x), Foreign(z, stream=77)
    y = exe(theirs, other)
    np.testing.assert_array_equal(y.numpy(), x + x + z)
    assert y.shape == (3, 4)
    assert y.__cuda_array_interface__["data"] == (y.address, False)
    stub.forget()
    again = exe(theirs, y)
    counts = stub.counts()
    assert counts["cuMemcpyHtoDAsync_v2"] == counts["cuStreamSynchronize"] == counts["cuMemcpyDtoHAsync_v2"] == 0
    assert stub.launches[0].words[0] == theirs.address
    assert stub.launches[1].words[1] == y.address
    np.testing.assert_array_equal(again.numpy(), x + x + y.numpy())
    # A result is memory of its own, until the last who holds it goes.
    address = y.address
    del y
    gc.collect()
    assert address not in stub.memory


def test_streams_of_others(stub: DriverStub, chain: Make, rng: np.random.Generator) -> None:
    """A call goes where its first tensor's stream is, and waits for the streams of the others."""
    exe = chain("cuda")
    x = draw(rng, 3, 4)
    exe(x, x)
    stub.forget()
    y = exe(Foreign(x), Foreign(x, stream=77))
    assert {launch.stream for launch in stub.launches} == {77}
    assert y.__cuda_array_interface__["stream"] == 77
    stub.forget()
    exe(Foreign(x, stream=77), Foreign(x, stream=78))
    assert {launch.stream for launch in stub.launches} == {77}
    waits = [(name, args) for name, args in stub.calls if name in ("cuEventRecord", "cuStreamWaitEvent")]
    assert ("cuEventRecord", (waits[0][1][0], 78)) in waits
    assert ("cuStreamWaitEvent", (77, waits[0][1][0], 0)) in waits


def test_borrowed_tensors_live_until_the_gpu_is_done(stub: DriverStub, chain: Make, rng: np.random.Generator) -> None:
    exe = chain("cuda")
    x = Foreign(draw(rng, 3, 4))
    stub.fail_when, stub.fail_code = (lambda name: name == "cuEventQuery"), 600
    alive = weakref.ref(x)
    y = exe(x, x)
    del x
    gc.collect()
    assert alive() is not None
    stub.fail_when = lambda name: False
    exe(y, y)
    exe(Foreign(draw(rng, 3, 4)), y)
    gc.collect()
    assert alive() is None
    # A result is freed in its stream's order, without waiting for the GPU.
    stub.forget()
    del y
    gc.collect()
    assert stub.counts()["cuMemFreeAsync"] == 1
    assert stub.counts()["cuCtxSynchronize"] == 0


def test_dlpack(stub: DriverStub, chain: Make, rng: np.random.Generator) -> None:
    """Our results go through DLPack into another call, as from any other library."""
    exe = chain("cuda")
    x = draw(rng, 5, 4)

    class Other:
        def __init__(self, array: Any) -> None:
            self.array = array
            self.streams: list[int] = []

        def __dlpack_device__(self) -> tuple[int, int]:
            return (2, 0)

        def __dlpack__(self, *, stream: int, **options: Any) -> Any:
            self.streams.append(stream)
            return self.array.__dlpack__(stream=stream, **options)

    y = exe(Foreign(x), Foreign(x))
    other = Other(y)
    again = exe(other, Foreign(x))
    assert other.streams == [stub.launches[-1].stream]
    assert stub.launches[-2].words[0] == y.address
    np.testing.assert_array_equal(again.numpy(), (x + x + x) * 2 + x)


def test_variants_follow_the_addresses(stub: DriverStub, chain: Make, rng: np.random.Generator) -> None:
    exe = chain("cuda")
    x, z = draw(rng, 100, 4), draw(rng, 100, 4)
    for shift_x, shift_z, entries in (
        (0, 0, ["add_four", "add_four"]),
        (4, 0, ["add_one", "add_four"]),
        (0, 8, ["add_four", "add_one"]),
        (0, 0, ["add_four", "add_four"]),
    ):
        stub.forget()
        y = exe(Foreign(x, shift=shift_x), Foreign(z, shift=shift_z))
        np.testing.assert_array_equal(y.numpy(), x + x + z)
        assert [launch.entry for launch in stub.launches] == entries
        assert [launch.blocks for launch in stub.launches] == [2 if name == "add_four" else 4 for name in entries]


def test_weights_are_uploaded_once(stub: DriverStub, buffers: Make, rng: np.random.Generator) -> None:
    w, step = draw(rng, 4), np.ones(4, np.float32)
    first = buffers("cuda", w=w, step=step, count=np.zeros(4, np.float32))
    x = draw(rng, 4)
    for call in range(1, 4):
        got = first(x)
        np.testing.assert_array_equal(got["y"], x + (w + w))
        assert got["count"].tolist() == [call] * 4
    assert first.state_dict()["count"].tolist() == [3] * 4
    first.load_state_dict({"count": np.full(4, 10, np.float32)})
    assert first(x)["count"].tolist() == [11] * 4
    before = len(stub.memory)
    second = buffers("cuda", w=w.copy(), step=step, count=np.zeros(4, np.float32))
    assert second(x)["count"].tolist() == [1] * 4
    assert first(x)["count"].tolist() == [12] * 4
    # Its count, what it prepared, and a status slot; w and step are there already.
    assert len(stub.memory) == before + 3


def test_calls_that_change_buffers_follow_each_other(stub: DriverStub, buffers: Make) -> None:
    ones = np.ones(4, np.float32)
    exe = buffers("cuda", w=ones, step=ones, count=0 * ones)
    exe(ones)
    stub.forget()
    exe(ones)
    names = [name for name in stub.names() if "Event" in name or "Launch" in name or name == "cuMemcpyDtoDAsync_v2"]
    assert names[0] == "cuStreamWaitEvent"
    assert names[-1] == "cuEventRecord"
    # The event follows the copy of the new count, and of the result that shows it.
    assert names.index("cuEventRecord") > max(i for i, name in enumerate(names) if name == "cuMemcpyDtoDAsync_v2")


def test_failures_are_raised_when_they_are_known(stub: DriverStub, taking: Make, rng: np.random.Generator) -> None:
    exe = taking("cuda")
    table = draw(rng, 5)
    good, bad = np.array([4, 0, 2]), np.array([4, 5, 2])
    text = r"index-out-of-range: index of take \(kernel 'take', from embedding model.py:7\)"
    for _ in range(2):
        np.testing.assert_array_equal(exe(table, good), table[good])
        with pytest.raises(RuntimeFailure, match=text):
            exe(table, bad)
    # Nobody waits for tensors of the GPU: the next call raises, or a synchronisation, or the call itself if asked to.
    on_gpu = Foreign(table), Foreign(bad), Foreign(good)
    exe(on_gpu[0], on_gpu[1])
    with pytest.raises(RuntimeFailure, match=text):
        exe(on_gpu[0], on_gpu[2])
    np.testing.assert_array_equal(exe(on_gpu[0], on_gpu[2]).numpy(), table[good])
    exe(on_gpu[0], on_gpu[1])
    with pytest.raises(RuntimeFailure, match=text):
        exe.synchronize()
    exe.synchronize()
    with pytest.raises(RuntimeFailure, match=text):
        exe(on_gpu[0], on_gpu[1], check_errors=True)
    exe(on_gpu[0], on_gpu[2], check_errors=True)
    assert stub.contexts == []


@pytest.mark.parametrize("device", ["cuda", "sim"])
def test_many_threads(stub: DriverStub, chain: Make, rng: np.random.Generator, device: str) -> None:
    """Calls side by side, of different sizes, never share scratch memory."""
    exe = chain(device)
    inputs = [(draw(rng, rows, 4), draw(rng, rows, 4)) for rows in (1, 7, 50)]
    wrong: list[int] = []

    def work(x: "np.ndarray[Any, Any]", z: "np.ndarray[Any, Any]") -> None:
        expected = x + x + z
        wrong.extend(len(x) for _ in range(10) if not np.array_equal(exe(x, z), expected))

    threads = [threading.Thread(target=work, args=pair) for pair in inputs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_profile(stub: DriverStub, chain: Make, rng: np.random.Generator) -> None:
    exe = chain("cuda")
    report = exe.profile(draw(rng, 3, 4), draw(rng, 3, 4), repeat=2)
    assert [launch.seconds for launch in report.launches] == [0.25e-3] * 2
    assert "250.0" in str(report)
    counts = stub.counts()
    assert counts["cuEventCreate"] == counts["cuEventDestroy_v2"] == 8


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"typestr": "<u4"}, "argument 'x' has an element type that stepwell does not know"),
        ({"typestr": "<f8"}, "argument 'x' must have dtype float32, got float64"),
        ({"shape": (3, 5)}, "argument 'x' must have size 4 in dimension 1, got 5"),
        ({"strides": (4, 16)}, "a tensor of the GPU must be contiguous"),
    ],
)
def test_refused_arguments(stub: DriverStub, chain: Make, changes: dict[str, Any], text: str) -> None:
    exe = chain("cuda")
    x = np.zeros((3, 4), np.float32)
    with pytest.raises(ArgumentError, match=text):
        exe(Foreign(x, **changes), Foreign(x))
    with pytest.raises(ArgumentError, match="argument 'x' must be on device cpu or cuda:0, got meta"):
        exe(torch.zeros(3, 4, device="meta"), x)
    assert stub.contexts == []
    np.testing.assert_array_equal(exe(x, x), x)


def test_out(stub: DriverStub, chain: Make, rng: np.random.Generator) -> None:
    exe = chain("cuda")
    x, z = draw(rng, 3, 4), draw(rng, 3, 4)
    into = exe(Foreign(x), Foreign(x))
    assert exe(Foreign(x), Foreign(z), out=into) is into
    np.testing.assert_array_equal(into.numpy(), x + x + z)
    theirs = Foreign(x)
    with pytest.raises(ArgumentError, match="'out' overlaps an argument"):
        exe(theirs, Foreign(z), out=theirs)
