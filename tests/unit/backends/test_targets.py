"""Targets by name, by the machine's GPU, and several at once."""

import pytest

from stepwell.backends import targets
from stepwell.backends.targets import architecture_for, resolve_target, resolve_targets, with_portable
from stepwell.support.errors import DeviceError, InvalidOptionError
from stepwell.support.target import Target


class FakeDriver:
    """A driver with one GPU."""

    def __init__(self, capability: tuple[int, int]) -> None:
        self._capability = capability

    def call(self, name: str, target: object, *arguments: int, doing: str = "") -> None:
        if name == "cuDeviceGetAttribute":
            target._obj.value = self._capability[arguments[0] - 75]  # type: ignore[attr-defined]


def test_names() -> None:
    assert [str(target) for target in resolve_targets("cuda:sm_90a,sm_80")] == ["cuda:sm_90a", "cuda:sm_80"]
    assert resolve_targets("cpu:x86-64-v3") == (Target("cpu", "x86-64-v3"),)
    assert resolve_target("cuda:sm_100") == Target("cuda", "sm_100")


def test_the_portable_one_is_added_once() -> None:
    assert with_portable("cuda:sm_90a") == "cuda:sm_90a,sm_80"
    assert with_portable("cuda:sm_100,sm_90") == "cuda:sm_100,sm_90,sm_80"
    for text in ("cuda:sm_80", "cuda:sm_80,sm_90a", "cpu", "cpu:x86-64-v3"):
        assert with_portable(text) == text


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("cuda:sm_80,sm_80", "names an architecture twice"),
        ("cuda:sm_80,sm_70", "unknown architecture 'sm_70' in target 'cuda:sm_70'"),
        ("cpu:x86-64-v3,x86-64-v4", "unknown architecture 'x86-64-v3,x86-64-v4'"),
        ("rocm", "unknown target 'rocm'"),
    ],
)
def test_refusals(text: str, message: str) -> None:
    with pytest.raises(InvalidOptionError, match=message):
        resolve_targets(text)


def test_one_is_wanted() -> None:
    with pytest.raises(InvalidOptionError, match="'cuda:sm_80,sm_90' names 2 architectures"):
        resolve_target("cuda:sm_80,sm_90")


@pytest.mark.parametrize(
    ("capability", "arch"),
    [
        ((8, 0), "sm_80"),
        ((8, 9), "sm_80"),
        ((9, 0), "sm_90a"),
        ((10, 0), "sm_100"),
        # sm_90a and its kin run on their own machine only; the driver compiles the PTX of the others.
        ((10, 3), "sm_100"),
        ((12, 0), "sm_100"),
    ],
)
def test_the_gpu_present(capability: tuple[int, int], arch: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert architecture_for(capability) == arch
    monkeypatch.setattr(targets, "open_driver", lambda: FakeDriver(capability))
    assert resolve_targets("cuda") == (Target("cuda", arch),)


def test_a_gpu_that_is_too_old() -> None:
    with pytest.raises(InvalidOptionError, match=r"capability 7.5; code is made for 8.0 and later(.|\n)*target='cpu'"):
        architecture_for((7, 5))


def test_without_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    def none() -> None:
        raise DeviceError("there is no driver")

    monkeypatch.setattr(targets, "open_driver", none)
    assert resolve_targets("cuda") == (Target("cuda", "sm_90a"),)


@pytest.mark.parametrize("arch", Target.gpu_architectures())
def test_facts(arch: str) -> None:
    """Facts agree among each other, and with the architecture's name."""
    target = Target("cuda", arch)
    code, gpu = target.code, target.gpu
    assert arch.removeprefix("sm_").rstrip("a") == f"{code.capability[0]}{code.capability[1]}"
    assert code.specific == arch.endswith("a")
    assert code.tma == (code.capability >= (9, 0))
    assert code.wgmma == (arch == "sm_90a")
    assert code.ptx_feature == f"ptx{code.ptx[0]}{code.ptx[1]}"
    assert gpu.shared_limit < gpu.shared_bytes
    assert target.multiprocessors == gpu.multiprocessors > 0
    assert target.buffer_alignment == 256
