"""Programs in which the host reads sizes on the way, on a driver without a GPU and on the simulated GPU."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from driver_stub import DriverStub

from stepwell.runtime.executable import Executable
from stepwell.support.errors import InvalidOptionError, RuntimeFailure

Make = Callable[..., Executable]


@pytest.mark.parametrize("device", ["cuda", "sim"])
def test_sizes_are_read_at_each_call(stub: DriverStub, reading: Make, rng: np.random.Generator, device: str) -> None:
    exe = reading(device)
    for rows, number in ((6, 2), (6, 0), (5, 5), (6, 2)):
        x, z = rng.random((rows, 4), np.float32), rng.random((rows, 4), np.float32)
        found = exe(x, z, np.array(number, np.int64))
        assert found.shape == (number, 4)
        np.testing.assert_allclose(found, 2 * (x + z)[:number] + x[:number], rtol=1e-6)
    with pytest.raises(RuntimeFailure, match="must be at most n = 6, got 7"):
        exe(x, z, np.array(7, np.int64))
    assert exe(x, z, np.array(1, np.int64)).shape == (1, 4)


def test_the_host_waits_once_per_number(stub: DriverStub, reading: Make, rng: np.random.Generator) -> None:
    exe = reading("cuda")
    arguments = (rng.random((6, 4), np.float32), rng.random((6, 4), np.float32), np.array(2, np.int64))
    exe(*arguments)
    kept = len(stub.memory)
    stub.forget()
    exe(*arguments)
    names = [name for name in stub.names() if name in ("cuLaunchKernel", "cuStreamSynchronize")]
    assert names == ["cuLaunchKernel", "cuStreamSynchronize", *("cuLaunchKernel",) * 2, "cuStreamSynchronize"]
    assert len(stub.memory) == kept
    assert stub.contexts == []


def test_graphs_are_refused(stub: DriverStub, reading: Make, rng: np.random.Generator) -> None:
    with pytest.raises(InvalidOptionError, match="a CUDA graph cannot hold this program"):
        reading("cuda", cuda_graphs=True)
    x: Any = rng.random((6, 4), np.float32)
    with pytest.raises(InvalidOptionError, match="a CUDA graph cannot hold this program"):
        reading("cuda").cuda_graph(x, x, np.array(2, np.int64))
