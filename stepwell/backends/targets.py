"""What a target text asks for on this machine: one target or several, and the GPU that is present."""

import ctypes

from stepwell.runtime.driver.library import open_driver
from stepwell.support.errors import DeviceError, InvalidOptionError
from stepwell.support.target import PORTABLE_GPU, Target

# Of cuDeviceGetAttribute: the parts of the compute capability.
_MAJOR, _MINOR = 75, 76


def resolve_targets(text: str) -> tuple[Target, ...]:
    """Return the targets that ``text`` names.

    Args:
        text: as for ``Target.parse``; "cuda:sm_80,sm_90a" names several, "cuda" alone the GPU present, else sm_90a.

    Raises:
        InvalidOptionError: an architecture is unknown or named twice, or several are for a CPU.
    """
    kind, _, listed = text.partition(":")
    if kind == "cuda" and not listed:
        return (Target.parse(f"cuda:{_present() or ''}"),)
    names = listed.split(",") if kind == "cuda" else [listed]
    targets = tuple(Target.parse(f"{kind}:{name}" if listed else text) for name in names)
    if len(set(targets)) != len(targets):
        raise InvalidOptionError(f"target '{text}' names an architecture twice", fix="name each once")
    return targets


def resolve_target(text: str) -> Target:
    """Return the one target that ``text`` names; raises InvalidOptionError where it names several."""
    targets = resolve_targets(text)
    if len(targets) > 1:
        raise InvalidOptionError(f"target '{text}' names {len(targets)} architectures", fix="lower for one at a time")
    return targets[0]


def with_portable(text: str) -> str:
    """Return the target ``text`` with the architecture added that all GPUs run code of; targets for CPUs as they are.

    Raises InvalidOptionError as ``resolve_targets`` does.
    """
    targets = resolve_targets(text)
    if targets[0].kind != "cuda" or any(target.arch == PORTABLE_GPU for target in targets):
        return text
    return f"cuda:{','.join([*(target.arch for target in targets), PORTABLE_GPU])}"


def _present() -> str:
    """Return the architecture to compile for on the first GPU of this machine; "" without one."""
    try:
        driver = open_driver()
        device = ctypes.c_int()
        driver.call("cuDeviceGet", ctypes.byref(device), 0)
        parts = []
        for attribute in (_MAJOR, _MINOR):
            value = ctypes.c_int()
            driver.call("cuDeviceGetAttribute", ctypes.byref(value), attribute, device.value)
            parts.append(value.value)
    except DeviceError:
        return ""
    return architecture_for((parts[0], parts[1]))


def architecture_for(capability: tuple[int, int]) -> str:
    """Return the best known architecture for a GPU: its own, else the latest before it, whose PTX its driver compiles.

    Raises:
        InvalidOptionError: it is older than all that we make code for.
    """
    known = [(arch, Target("cuda", arch).code) for arch in Target.gpu_architectures()]
    # Code for one machine alone uses what others of its kind do not have.
    fitting = [
        (facts.capability, facts.specific, arch)
        for arch, facts in known
        if facts.capability == capability or (facts.capability < capability and not facts.specific)
    ]
    if not fitting:
        oldest = min(facts.capability for _, facts in known)
        raise InvalidOptionError(
            f"this machine's GPU has compute capability {capability[0]}.{capability[1]}; "
            f"code is made for {oldest[0]}.{oldest[1]} and later",
            fix="name the architecture of another GPU, such as target='cuda:sm_80', or use target='cpu'",
        )
    return max(fitting)[2]
