"""Artifacts with code for GPUs: what they hold, what each machine runs of it, and what is refused."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gpu_kernels
import numpy as np
import pytest
from driver_stub import DriverStub

from stepwell.runtime.archive import Archive
from stepwell.runtime.artifact import load
from stepwell.runtime.executable import Executable
from stepwell.support.errors import ArtifactError, DeviceError, InvalidOptionError

ONES = np.ones(4, np.float32)
# Text in the PTX of one part alone tells which part was loaded.
HOPPER = gpu_kernels.ADD.replace(".version 7.0", ".version 8.6").replace("sm_80", "sm_90a")


def counting(kit: Any, target: str, code: bytes, device: str | None = None) -> Executable:
    plan = gpu_kernels.with_info(kit.buffer_plan(), add=gpu_kernels.add_info(4))
    constants = {"w": np.arange(1, 5, dtype=np.float32), "step": ONES, "count": 0 * ONES}
    return Executable(plan, {"add": code}, constants, target=target, device=device)


@pytest.fixture
def saved(kit: Any, tmp_path: Path) -> Path:
    """An artifact of the counting program for two architectures, after two calls on the simulated GPU."""
    code = gpu_kernels.code(HOPPER, arch="sm_90a", cubins=("sm_90a",))
    exe = counting(kit, "cuda:sm_90a", code, "sim")
    exe(ONES)
    exe(ONES)
    portable = gpu_kernels.code(gpu_kernels.ADD, cubins=("sm_80",), ptxas="12.4.131")
    path = tmp_path / "model.swx"
    exe.save(path, also=[counting(kit, "cuda:sm_80", portable)])
    return path


def test_round_trip(saved: Path) -> None:
    exe = load(saved, device="sim")
    assert str(exe.target) == "cuda:sm_90a"
    assert exe.state_dict()["count"].tolist() == [2] * 4
    got = exe(ONES)
    assert got["y"].tolist() == [3.0, 5.0, 7.0, 9.0]
    assert got["count"].tolist() == [3] * 4
    assert load(saved, device="sim:strict")(ONES)["count"].tolist() == [3] * 4
    again = saved.with_name("again.swx")
    load(saved, device="sim").save(again)
    assert again.read_bytes() == saved.read_bytes()


def test_manifest(saved: Path) -> None:
    archive = Archive(saved)
    manifest = json.loads(bytes(archive.member("manifest.json")))
    assert manifest["parts"] == [
        {
            "target": "cuda:sm_90a",
            "folder": "sm_90a",
            "minimum_driver": 12070,
            "drivers": {"cubin sm_90a": 13000, "ptx sm_90a": 12070},
            "ptx": ["8.6"],
            "ptxas": ["13.0.88"],
        },
        {
            "target": "cuda:sm_80",
            "folder": "sm_80",
            "minimum_driver": 11000,
            "drivers": {"cubin sm_80": 12000, "ptx sm_80": 11000},
            "ptx": ["7.0"],
            "ptxas": ["12.4.131"],
        },
    ]
    names = archive.names
    assert {"sm_90a/plan.json", "sm_80/plan.json", "sm_90a/kernels/add", "sm_80/kernels/add"} < names
    # Both parts share the tensors.
    assert len([name for name in names if name.startswith("constants/")]) == 3


@pytest.mark.parametrize(
    ("capability", "driver", "target", "image"),
    [
        ((9, 0), 13000, "cuda:sm_90a", b"elf "),
        # The driver is too old for the machine code of CUDA 13, not for the PTX.
        ((9, 0), 12080, "cuda:sm_90a", b".ver"),
        # It is too old for that PTX, too.
        ((9, 0), 12040, "cuda:sm_80", b".ver"),
        ((8, 0), 12040, "cuda:sm_80", b"elf "),
        # An older architecture of the same kind.
        ((8, 9), 12040, "cuda:sm_80", b"elf "),
        ((8, 0), 11080, "cuda:sm_80", b".ver"),
        ((10, 0), 13000, "cuda:sm_80", b".ver"),
        ((12, 0), 13000, "cuda:sm_80", b".ver"),
    ],
)
def test_each_machine_gets_what_fits(
    stub: DriverStub, saved: Path, capability: tuple[int, int], driver: int, target: str, image: bytes
) -> None:
    (stub.major, stub.minor), stub.version = capability, driver
    exe = load(saved)
    assert str(exe.target) == target
    assert list(stub.modules.values()) == [image]
    assert exe(ONES)["count"].tolist() == [3] * 4
    again = saved.with_name("again.swx")
    load(saved, device="sim").save(again)
    assert again.read_bytes() == saved.read_bytes()


def test_loaded_with_graphs(stub: DriverStub, saved: Path) -> None:
    exe = load(saved, cuda_graphs=True)
    for count in (3, 4, 5):
        assert exe(ONES)["count"].tolist() == [count] * 4
    assert stub.counts()["cuGraphLaunch"] == 2
    with pytest.raises(InvalidOptionError, match="device 'sim' has no CUDA graphs"):
        load(saved, device="sim", cuda_graphs=True)


def test_machines_without_anything_are_refused(stub: DriverStub, saved: Path) -> None:
    stub.major, stub.minor = 7, 5
    with pytest.raises(DeviceError) as caught:
        load(saved)
    text = str(caught.value)
    assert "Stub GPU needs code for sm_75 and a driver for CUDA 13.0; there is none:" in text
    assert (
        "cuda:sm_90a has cubin for sm_90a (driver for CUDA 13.0 or newer), ptx for sm_90a (driver for CUDA 12.7" in text
    )
    assert "cuda:sm_80 has cubin for sm_80 (driver for CUDA 12.0 or newer), ptx for sm_80 (driver for CUDA 11.0" in text
    assert "fix: compile for cuda:sm_75, or install a newer driver" in text
    (stub.major, stub.minor), stub.version = (8, 0), 10020
    stub.forget()
    with pytest.raises(DeviceError, match=r"needs code for sm_75 and a driver for CUDA 13.0"):
        load(saved)
    assert stub.modules == {}
    assert stub.contexts == []


def test_wrong_devices_are_refused(saved: Path, kit: Any, build: Callable[..., Executable], tmp_path: Path) -> None:
    with pytest.raises(InvalidOptionError) as caught:
        load(saved, device="cpu")
    assert "made for cuda:sm_90a and cuda:sm_80 and cannot run on device 'cpu'" in str(caught.value)
    assert "fix: use device='sim'" in str(caught.value)
    with pytest.raises(InvalidOptionError, match="unknown device 'tpu'"):
        load(saved, device="tpu")
    with pytest.raises(InvalidOptionError, match="unknown device 'cuda:x'"):
        load(saved, device="cuda:x")
    cpu = build(kit.buffer_plan(), w=ONES, step=ONES, count=ONES)
    path = tmp_path / "cpu.swx"
    cpu.save(path)
    with pytest.raises(InvalidOptionError, match="made for cpu:x86-64-v3 and cannot run on device 'sim'"):
        load(path, device="sim")


def test_one_file_for_cpu_and_gpu(kit: Any, build: Callable[..., Executable], tmp_path: Path) -> None:
    cpu = build(kit.buffer_plan(), w=ONES, step=ONES, count=0 * ONES)
    gpu = counting(kit, "cuda:sm_80", gpu_kernels.code(gpu_kernels.ADD))
    path = tmp_path / "both.swx"
    cpu.save(path, also=[gpu])
    assert load(path)(ONES)["y"].tolist() == load(path, device="sim")(ONES)["y"].tolist() == [3.0] * 4


def test_parts_of_different_programs(kit: Any, tmp_path: Path) -> None:
    exe = counting(kit, "cuda:sm_80", gpu_kernels.code(gpu_kernels.ADD))
    plan = gpu_kernels.with_info(kit.chain_plan(), add=gpu_kernels.add_info(4 * gpu_kernels.N))
    other = Executable(plan, {"add": gpu_kernels.code(HOPPER)}, {}, target="cuda:sm_90a")
    path = tmp_path / "model.swx"
    with pytest.raises(ArtifactError, match="the parts for cuda:sm_80 and cuda:sm_90a are not of one program"):
        exe.save(path, also=[other])
    with pytest.raises(ArtifactError, match="there are two parts for cuda:sm_80"):
        exe.save(path, also=[exe])
    assert not path.exists()


def test_damaged_code(saved: Path) -> None:
    whole = saved.read_bytes()
    at = whole.index(b"stepwell-gpu-1")
    saved.write_bytes(whole[:at] + b"S" + whole[at + 1 :])
    with pytest.raises(ArtifactError, match="the hash of sm_90a/kernels/add differs"):
        load(saved, device="sim")
