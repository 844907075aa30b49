"""Calls captured as CUDA graphs, on the driver of C callbacks."""

import gc
from collections.abc import Callable

import numpy as np
import pytest
from driver_stub import DriverStub
from foreign_tensors import Foreign

from stepwell.runtime.executable import Executable
from stepwell.support.errors import ArgumentError, DeviceError, InvalidOptionError, RuntimeFailure

Make = Callable[..., Executable]


def draw(rng: np.random.Generator, *shape: int) -> np.ndarray:
    return rng.standard_normal(shape).astype(np.float32)


def test_replay_on_static_memory(stub: DriverStub, chain: Make, rng: np.random.Generator) -> None:
    exe = chain("cuda")
    x, z = draw(rng, 3, 4), draw(rng, 3, 4)
    graph = exe.cuda_graph(Foreign(x), Foreign(z))
    y = graph(Foreign(x), Foreign(z))
    np.testing.assert_array_equal(y.numpy(), x + x + z)
    stub.forget()
    again = graph(Foreign(z), Foreign(x, shift=4))
    assert again is y
    np.testing.assert_array_equal(y.numpy(), z + z + x)
    counts = stub.counts()
    assert counts["cuGraphLaunch"] == 1
    assert counts["cuLaunchKernel"] == counts["cuStreamSynchronize"] - 1 == 0
    with pytest.raises(ArgumentError, match="the graph was captured for other sizes: n = 3, got n = 2"):
        graph(Foreign(x[:2]), Foreign(z[:2]))
    # The executable itself goes on as before.
    np.testing.assert_array_equal(exe(Foreign(x), Foreign(z)).numpy(), x + x + z)
    del graph
    gc.collect()
    assert stub.graphs == {}
    assert stub.contexts == []


def test_host_tensors(stub: DriverStub, chain: Make, rng: np.random.Generator) -> None:
    exe = chain("cuda")
    x, z = draw(rng, 3, 4), draw(rng, 3, 4)
    graph = exe.cuda_graph(x, z)
    first = graph(x, z)
    np.testing.assert_array_equal(first, x + x + z)
    np.testing.assert_array_equal(graph(z, x[::-1]), z + z + x[::-1])
    np.testing.assert_array_equal(first, x + x + z)


def test_as_an_option(stub: DriverStub, chain: Make, rng: np.random.Generator) -> None:
    exe = chain("cuda", cuda_graphs=True)
    for rows in (3, 5, 3, 0, 5, 3, 5, 0):
        x, z = draw(rng, rows, 4), draw(rng, rows, 4)
        np.testing.assert_array_equal(exe(x, z), x + x + z)
    assert stub.counts()["cuStreamBeginCapture_v2"] == 3
    x, z = draw(rng, 3, 4), draw(rng, 3, 4)
    y = exe(Foreign(x), Foreign(z))
    other = exe(Foreign(z), Foreign(x))
    np.testing.assert_array_equal(y.numpy(), x + x + z)
    np.testing.assert_array_equal(other.numpy(), z + z + x)
    assert exe(Foreign(z), Foreign(z), out=y) is y
    np.testing.assert_array_equal(y.numpy(), z + z + z)


def test_graphed_calls_change_buffers_once(stub: DriverStub, buffers: Make) -> None:
    ones = np.ones(4, np.float32)
    exe = buffers("cuda", cuda_graphs=True, w=ones, step=ones, count=0 * ones)
    for call in range(1, 5):
        assert exe(ones)["count"].tolist() == [call] * 4


def test_buffers_change_in_graphs(stub: DriverStub, buffers: Make) -> None:
    ones = np.ones(4, np.float32)
    exe = buffers("cuda", w=ones, step=ones, count=0 * ones)
    assert exe(ones)["count"].tolist() == [1] * 4
    graph = exe.cuda_graph(ones)
    assert exe.state_dict()["count"].tolist() == [2] * 4
    assert graph(ones)["count"].tolist() == [3] * 4
    assert exe(ones)["count"].tolist() == [4] * 4
    assert graph(ones)["count"].tolist() == [5] * 4


def test_failures_in_graphs(stub: DriverStub, taking: Make, rng: np.random.Generator) -> None:
    table = draw(rng, 5)
    graph = taking("cuda").cuda_graph(table, np.array([1, 2]))
    with pytest.raises(RuntimeFailure, match="index-out-of-range"):
        graph(table, np.array([1, 9]))
    np.testing.assert_array_equal(graph(table, np.array([3, 2])), table[[3, 2]])


@pytest.mark.parametrize(
    ("function", "text"),
    [
        ("cuStreamBeginCapture_v2", "a CUDA graph cannot be captured: CUDA_ERROR_900"),
        ("cuStreamEndCapture", "a CUDA graph cannot be captured: CUDA_ERROR_900"),
        ("cuGraphInstantiateWithFlags", "a CUDA graph cannot be made: CUDA_ERROR_900"),
        ("cuLaunchKernel", r"kernel 'add', from add model.py:12 cannot be launched: CUDA_ERROR_900"),
    ],
)
def test_failed_captures_leave_nothing(
    stub: DriverStub, chain: Make, rng: np.random.Generator, function: str, text: str
) -> None:
    exe = chain("cuda")
    x, z = draw(rng, 3, 4), draw(rng, 3, 4)
    exe(x, z)
    stub.forget()
    if function == "cuLaunchKernel":
        # The second time, when the run before the capture is done.
        stub.fail_when = lambda name: name == function and stub.capturing is not None
        stub.fail_code = 900
    else:
        stub.fail[function] = 900
    with pytest.raises(DeviceError, match=text):
        exe.cuda_graph(x, z)
    stub.fail_when = lambda name: False
    gc.collect()
    assert stub.contexts == []
    assert stub.counts()["cuStreamCreate"] == stub.counts()["cuStreamDestroy_v2"] == 1
    if function != "cuStreamEndCapture":
        assert stub.capturing is None
        assert stub.graphs == {}
    np.testing.assert_array_equal(exe(x, z), x + x + z)
    np.testing.assert_array_equal(exe.cuda_graph(x, z)(x, z), x + x + z)


def test_only_on_a_gpu(kit: object, build: Make) -> None:
    exe = build(kit.chain_plan())  # type: ignore[attr-defined]
    with pytest.raises(InvalidOptionError, match="device 'cpu' has no CUDA graphs"):
        exe.cuda_graph(np.zeros((1, 4), np.float32), np.zeros((1, 4), np.float32))
