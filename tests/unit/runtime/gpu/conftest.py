"""A driver without a GPU, and executables on it and on the simulated GPU."""

from collections.abc import Callable, Iterator
from typing import Any

import driver_stub
import gpu_kernels
import pytest

from stepwell.runtime.driver import gpu, library
from stepwell.runtime.executable import Executable


@pytest.fixture
def stub(monkeypatch: pytest.MonkeyPatch) -> Iterator[driver_stub.DriverStub]:
    """The driver, instead of libcuda; no GPU has been opened yet."""
    made = driver_stub.DriverStub(dict(library._SIGNATURES))
    made.kernels = {"add_one": driver_stub.add, "add_four": driver_stub.add, "take": driver_stub.take}
    monkeypatch.setattr(library, "_library", lambda: made.find)
    monkeypatch.setattr(gpu, "_gpus", {})
    library.open_driver.cache_clear()
    yield made
    library.open_driver.cache_clear()
    assert made.wrong == []


@pytest.fixture
def chain(kit: Any) -> Callable[..., Executable]:
    """Return a function that makes ``y = (x + x) + z``, x and z of n rows of 4 floats, on a device."""

    def make(device: str | None, **options: Any) -> Executable:
        plan = gpu_kernels.with_info(kit.chain_plan(), add=gpu_kernels.add_info(4 * gpu_kernels.N))
        return Executable(
            plan, {"add": gpu_kernels.code(gpu_kernels.ADD)}, {}, target="cuda:sm_80", device=device, **options
        )

    return make


@pytest.fixture
def reading(kit: Any) -> Callable[..., Executable]:
    """Return a function that makes the program that reads a size on the way, on a device."""

    def make(device: str | None, **options: Any) -> Executable:
        plan = gpu_kernels.with_info(kit.reading_plan(), add=gpu_kernels.add_info(4 * gpu_kernels.N))
        return Executable(
            plan, {"add": gpu_kernels.code(gpu_kernels.ADD)}, {}, target="cuda:sm_80", device=device, **options
        )

    return make


@pytest.fixture
def buffers(kit: Any) -> Callable[..., Executable]:
    """Return a function that makes the program that counts, on a device, from its tensors."""

    def make(device: str | None, cuda_graphs: bool = False, **constants: Any) -> Executable:
        plan = gpu_kernels.with_info(kit.buffer_plan(), add=gpu_kernels.add_info(4))
        return Executable(
            plan,
            {"add": gpu_kernels.code(gpu_kernels.ADD)},
            constants,
            target="cuda:sm_80",
            device=device,
            cuda_graphs=cuda_graphs,
        )

    return make


@pytest.fixture
def taking(kit: Any) -> Callable[..., Executable]:
    """Return a function that makes ``table[index]``, which checks the index, on a device."""

    def make(device: str | None) -> Executable:
        plan = gpu_kernels.with_info(kit.take_plan(), take=gpu_kernels.TAKE_INFO)
        return Executable(plan, {"take": gpu_kernels.code(gpu_kernels.TAKE)}, {}, target="cuda:sm_80", device=device)

    return make
