"""The simulated GPU as a device: the same programs, their PTX executed, and what it counts."""

from collections.abc import Callable
from typing import Any

import gpu_kernels
import numpy as np
import pytest
import torch

from stepwell.runtime.executable import Executable
from stepwell.support.errors import (
    ArgumentError,
    ArtifactError,
    InvalidOptionError,
    MemoryAccessError,
    RuntimeFailure,
    SimulationError,
)

Make = Callable[..., Executable]


def draw(rng: np.random.Generator, *shape: int) -> "np.ndarray[Any, Any]":
    return rng.standard_normal(shape).astype(np.float32)


@pytest.mark.parametrize("device", ["sim", "sim:fast", "sim:strict", "sim:strict:7"])
def test_kinds_and_sizes(chain: Make, rng: np.random.Generator, device: str) -> None:
    exe = chain(device)
    for rows in (3, 0, 80, 3):
        x, z = draw(rng, rows, 4), draw(rng, rows, 4)
        y = exe(x, z)
        assert type(y) is np.ndarray
        np.testing.assert_array_equal(y, x + x + z)
        t = exe(torch.from_numpy(x), z)
        assert type(t) is torch.Tensor
        np.testing.assert_array_equal(t.numpy(), y)
    wide = draw(rng, 4, 12)
    np.testing.assert_array_equal(exe(wide.T[::3], np.zeros((4, 4), np.float32)), 2 * wide.T[::3])


def test_out(chain: Make, rng: np.random.Generator) -> None:
    x, z = draw(rng, 3, 4), draw(rng, 3, 4)
    out = np.full((3, 4), np.nan, np.float32)
    assert chain("sim")(x, z, out=out) is out
    np.testing.assert_array_equal(out, x + x + z)


def test_buffers_and_prepare(buffers: Make, rng: np.random.Generator) -> None:
    w = draw(rng, 4)
    exe = buffers("sim", w=w, step=np.ones(4, np.float32), count=torch.zeros(4))
    x = draw(rng, 4)
    for call in range(1, 4):
        got = exe(x)
        np.testing.assert_array_equal(got["y"], x + (w + w))
        assert got["count"].tolist() == [call] * 4
    assert exe.state_dict()["count"].tolist() == [3] * 4
    exe.load_state_dict({"count": np.full(4, 10, np.float32)})
    assert exe(x)["count"].tolist() == [11] * 4


def test_run_time_failure(taking: Make, rng: np.random.Generator) -> None:
    exe = taking("sim")
    table = draw(rng, 5)
    for _ in range(2):
        np.testing.assert_array_equal(exe(table, np.array([4, 0, 2])), table[[4, 0, 2]])
        with pytest.raises(RuntimeFailure, match=r"index of take \(kernel 'take', from embedding model.py:7\)"):
            exe(table, np.array([4, 5, 2]))
    assert exe(table, np.zeros(0, np.int64)).shape == (0,)


def test_no_memory_is_left_behind(chain: Make, rng: np.random.Generator) -> None:
    exe = chain("sim")
    freed: list[int] = []
    simulator = exe.session.device.simulator
    allocate, free = simulator.allocate, simulator.free
    taken: list[int] = []
    simulator.allocate = lambda *args: taken.append(allocate(*args)) or taken[-1]
    simulator.free = lambda address: freed.append(address) or free(address)
    exe(draw(rng, 3, 4), draw(rng, 3, 4))
    assert sorted(taken) == sorted(freed) != []


def test_report_counts(chain: Make, rng: np.random.Generator) -> None:
    exe = chain("sim")
    report = exe.profile(draw(rng, 8, 4), draw(rng, 8, 4), repeat=1)
    for launch in report.launches:
        assert launch.seconds is None
        assert launch.counts["global load bytes"] == 2 * 8 * 4 * 4
        assert launch.counts["global store bytes"] == 8 * 4 * 4
    lines = str(report).splitlines()
    assert lines[0].split()[:4] == ["kernel", "warp", "instructions", "MB"]
    assert "0.000256" in lines[1]
    assert "add model.py:12" in lines[1]


def test_illegal_access_names_the_kernel_and_the_line(kit: Any, rng: np.random.Generator) -> None:
    text = gpu_kernels.ADD.replace("setp.ge.s64 %p1, %rd5, %rd4;", "setp.lt.s64 %p1, %rd5, 0;")
    plan = gpu_kernels.with_info(kit.chain_plan(), add=gpu_kernels.add_info(4 * gpu_kernels.N))
    exe = Executable(plan, {"add": gpu_kernels.code(text)}, {}, target="cuda:sm_80", device="sim")
    x = draw(rng, 3, 4)
    with pytest.raises(MemoryAccessError, match=r"kernel 'add', from add model.py:12: ") as caught:
        exe(x, x)
    assert caught.value.entry == "add_four"
    assert caught.value.ptx_line > 0
    # The lock is free and nothing is half done: the next call finds the same, not another thing.
    with pytest.raises(MemoryAccessError):
        exe(x, x)


def test_wrong_code(kit: Any) -> None:
    plan = gpu_kernels.with_info(kit.chain_plan(), add=gpu_kernels.add_info(4 * gpu_kernels.N))
    with pytest.raises(ArtifactError, match="there is no code for kernels add"):
        Executable(plan, {}, {}, target="cuda:sm_80", device="sim")
    with pytest.raises(ArtifactError, match="no GPU code of this version"):
        Executable(plan, {"add": b"\x7fELF"}, {}, target="cuda:sm_80", device="sim")
    with pytest.raises(SimulationError):
        Executable(plan, {"add": gpu_kernels.code(".version 7.0\nnonsense")}, {}, target="cuda:sm_80", device="sim")


def test_modes(chain: Make, monkeypatch: pytest.MonkeyPatch, rng: np.random.Generator) -> None:
    with pytest.raises(InvalidOptionError, match="unknown simulation mode 'slow'"):
        chain("sim:slow")
    monkeypatch.setenv("STEPWELL_SIM", "strict:3")
    exe = chain("sim")
    assert exe.session.device.simulator.mode == "strict"
    assert exe.session.device.simulator.seed == 3
    monkeypatch.setenv("STEPWELL_SIM", "quick")
    with pytest.raises(InvalidOptionError, match="unknown simulation mode 'quick'"):
        chain("sim")
    with pytest.raises(ArgumentError, match="must be on device cpu, got meta"):
        exe(torch.zeros(3, 4, device="meta"), torch.zeros(3, 4))
