"""What can be wrong with a GPU, its driver, its memory, its kernels: each is one clear error, and nothing is held."""

import gc
from collections.abc import Callable
from typing import Any

import gpu_kernels
import numpy as np
import pytest
from driver_stub import DriverStub
from foreign_tensors import Foreign

import stepwell as sw
from stepwell.runtime.driver import library
from stepwell.runtime.executable import Executable
from stepwell.support.errors import ArtifactError, DeviceError, InvalidOptionError, LaunchError

Make = Callable[..., Executable]
X = np.ones((3, 4), np.float32)
ADD = r"kernel 'add', from add model\.py:12"


def test_no_driver(chain: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(library, "LIBRARY", "libcuda-is-not-here.so.1")
    library.open_driver.cache_clear()
    with pytest.raises(DeviceError) as caught:
        chain("cuda")
    assert "there is no NVIDIA driver on this machine: libcuda-is-not-here.so.1" in str(caught.value)
    assert "fix: install the driver, or use device='sim'" in str(caught.value)
    # Without the device's name the code may be for another machine: the first call needs the GPU.
    exe = chain(None)
    assert "add" in exe.explain()
    with pytest.raises(DeviceError, match="there is no NVIDIA driver"):
        exe(X, X)


@pytest.mark.parametrize(
    ("code", "fix"),
    [
        (100, "device='sim' runs without a GPU; CUDA_VISIBLE_DEVICES may hide one"),
        (34, "the library is a stub for linking"),
        (802, "the GPU is not ready yet"),
        (803, "restart the machine after an update"),
    ],
)
def test_driver_that_does_not_start(stub: DriverStub, chain: Make, code: int, fix: str) -> None:
    stub.fail["cuInit"] = code
    with pytest.raises(DeviceError) as caught:
        chain("cuda")
    assert f"the NVIDIA driver does not start: CUDA_ERROR_{code}: what it means" in str(caught.value)
    assert fix in str(caught.value)
    # Nothing remembers the failure.
    np.testing.assert_array_equal(chain("cuda")(X, X), 3 * X)


def test_no_gpu(stub: DriverStub, chain: Make) -> None:
    stub.count = 0
    with pytest.raises(DeviceError, match="the NVIDIA driver finds no GPU"):
        chain("cuda")
    stub.count = 2
    with pytest.raises(DeviceError, match="there is no GPU 2: this machine has 2"):
        chain("cuda:2")
    with pytest.raises(InvalidOptionError, match="unknown device 'cuda:first'"):
        chain("cuda:first")
    np.testing.assert_array_equal(chain("cuda:1")(X, X), 3 * X)


def test_wrong_architecture_or_old_driver(stub: DriverStub, kit: Any) -> None:
    plan = gpu_kernels.with_info(kit.chain_plan(), add=gpu_kernels.add_info(4 * gpu_kernels.N))
    text = gpu_kernels.ADD.replace(".version 7.0", ".version 8.6").replace("sm_80", "sm_90a")
    code = {"add": gpu_kernels.code(text, arch="sm_90a", cubins=("sm_90a",))}
    stub.major, stub.minor = 8, 6
    with pytest.raises(DeviceError) as caught:
        Executable(plan, code, {}, target="cuda:sm_90a", device="cuda")
    assert "Stub GPU needs code for sm_86 and a driver for CUDA 13.0; kernel 'add' has cubin for sm_90a" in str(
        caught.value
    )
    assert "fix: compile for this GPU, or install a newer driver" in str(caught.value)


def test_too_old_a_driver(stub: DriverStub, chain: Make) -> None:
    stub.version = 10020
    with pytest.raises(
        DeviceError, match=r"a driver for CUDA 10\.2; kernel 'add' has ptx for sm_80 \(driver for CUDA 11\.0"
    ):
        chain("cuda")


def test_functions_that_the_driver_lacks(stub: DriverStub, chain: Make) -> None:
    stub.missing.add("cuMemAllocAsync")
    with pytest.raises(DeviceError, match="the NVIDIA driver has no function cuMemAllocAsync"):
        chain("cuda")(X, X)


def test_code_that_the_driver_refuses(stub: DriverStub, chain: Make) -> None:
    stub.fail["cuModuleLoadDataEx"] = 218
    with pytest.raises(DeviceError) as caught:
        chain("cuda")
    text = (
        "the driver does not load the ptx of kernel 'add' for sm_80 on Stub GPU (sm_90): CUDA_ERROR_218: what it means"
    )
    assert text in str(caught.value)
    assert stub.contexts == []
    stub.fail["cuModuleGetFunction"] = 500
    with pytest.raises(DeviceError, match="kernel 'add' cannot be prepared on Stub GPU: CUDA_ERROR_500"):
        chain("cuda")
    gc.collect()
    assert stub.modules == {}
    assert stub.contexts == []


def test_out_of_memory(stub: DriverStub, chain: Make) -> None:
    exe = chain("cuda")
    exe(X, X)
    gc.collect()
    used = sum(len(block) for block in stub.memory.values())
    stub.limit = used + 50_000
    large = np.ones((1000, 4), np.float32)
    for what in ("tensors", "intermediate results"):
        held = set(stub.memory)
        arguments = (large, large) if what == "tensors" else (Foreign(large), Foreign(large))
        stub.limit = used + (20_000 if what == "tensors" else 17_000)
        with pytest.raises(DeviceError) as caught:
            exe(*arguments)
        assert f"Stub GPU has not 16000 bytes for {what}; " in str(caught.value)
        assert " bytes are free: CUDA_ERROR_2: what it means" in str(caught.value)
        assert "fix: free memory of other programs or tensors, or call with smaller ones" in str(caught.value)
        # The traceback holds the call's results.
        del caught
        gc.collect()
        # Smaller ones go on as before.
        np.testing.assert_array_equal(exe(X, X), 3 * X)
        assert len(stub.memory) <= len(held)
    assert stub.contexts == []


def test_weights_that_do_not_fit(stub: DriverStub, buffers: Make) -> None:
    exe = buffers("cuda", w=X[0], step=X[0], count=X[0])
    stub.limit = 280
    with pytest.raises(DeviceError, match=r"Stub GPU has not 16 bytes for (parameter|buffer|constant) '"):
        exe(X[0])
    stub.limit = 1 << 30
    assert exe(X[0])["count"].tolist() == [2] * 4


def test_launch_that_fails(stub: DriverStub, chain: Make) -> None:
    exe = chain("cuda")
    exe(X, X)
    for code, text in (
        (701, r"\(registers, threads or shared memory beyond what the GPU has\)"),
        (1, r"\(the launch's sizes or parameters\)"),
    ):
        stub.fail["cuLaunchKernel"] = code
        with pytest.raises(LaunchError, match=f"{ADD} cannot be launched: CUDA_ERROR_{code}: what it means {text}"):
            exe(X, X)
        np.testing.assert_array_equal(exe(X, X), 3 * X)
    assert stub.contexts == []


def test_illegal_access_is_explained(stub: DriverStub, chain: Make) -> None:
    """The driver reports it at whatever comes next, and from then on for ever."""
    exe = chain("cuda")
    exe(X, X)
    stub.fail_code = 700
    stub.fail_when = lambda name: name in ("cuStreamSynchronize", "cuLaunchKernel", "cuMemAllocAsync")
    for _ in range(2):
        with pytest.raises(LaunchError) as caught:
            exe(X, X)
        text = str(caught.value)
        assert (
            "a kernel accessed memory outside of its tensors (in an earlier kernel, of this program or another)" in text
        )
        assert "this process cannot use the GPU any more" in text
        assert "check_errors=True in a new process names the kernel; device='sim:strict' names the PTX line" in text
    assert stub.contexts == []


def test_illegal_access_names_the_kernel_on_request(stub: DriverStub, chain: Make) -> None:
    exe = chain("cuda")
    exe(X, X)
    stub.forget()
    stub.fail_code = 716
    stub.fail_when = lambda name: name == "cuStreamSynchronize" and stub.counts()["cuLaunchKernel"] == 2
    with pytest.raises(
        LaunchError, match=rf"a kernel accessed memory at a misaligned address \({ADD}\): CUDA_ERROR_716"
    ):
        exe(X, X, check_errors=True)
    assert stub.contexts == []


def test_devices_are_checked_before_compiling(stub: DriverStub, monkeypatch: pytest.MonkeyPatch) -> None:
    """A program that is not even there: nothing has been read when the device is refused."""
    monkeypatch.setenv("STEPWELL_SIM", "quick")
    for options, text in (
        ({"device": "cuda:7"}, "there is no GPU 7: this machine has 1"),
        ({"device": "cpu"}, "code for target 'cuda:sm_80' does not run on device 'cpu'"),
        ({"device": "sim:slow"}, "unknown simulation mode 'slow'"),
        ({"device": "sim"}, "unknown simulation mode 'quick'"),
        ({"device": "sim:fast", "cuda_graphs": True}, "device 'sim' has no CUDA graphs"),
    ):
        with pytest.raises(sw.StepwellError, match=text):
            sw.compile("missing.mlir", target="cuda:sm_80", **options)
    with pytest.raises(sw.StepwellError, match="device 'cpu' has no CUDA graphs"):
        sw.compile("missing.mlir", cuda_graphs=True)


def test_missing_code(stub: DriverStub, kit: Any) -> None:
    plan = gpu_kernels.with_info(kit.chain_plan(), add=gpu_kernels.add_info(4 * gpu_kernels.N))
    with pytest.raises(ArtifactError, match="there is no code for kernels add"):
        Executable(plan, {}, {}, target="cuda:sm_80")
    with pytest.raises(ArtifactError, match="no GPU code of this version"):
        Executable(plan, {"add": b"\x7fELF"}, {}, target="cuda:sm_80")
