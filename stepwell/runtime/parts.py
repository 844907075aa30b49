"""What one program was compiled to: a plan and its kernels per target, and which of them a machine should run."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from stepwell.runtime.devices.opening import DEVICES, choose_device
from stepwell.runtime.gpu_code import GpuCode
from stepwell.runtime.plan import Plan
from stepwell.support.errors import DeviceError, InvalidOptionError
from stepwell.support.target import Target

if TYPE_CHECKING:
    from stepwell.runtime.driver.gpu import Gpu


@dataclass(frozen=True)
class Part:
    """A program for one target.

    Attributes:
        target: what its kernels are made for.
        plan: what to run.
        kernels: machine code by kernel name.
        constants: the program's own tensors by name; more than the plan needs may be there.
    """

    target: Target
    plan: Plan
    kernels: Mapping[str, bytes] = field(hash=False)
    constants: Mapping[str, Any] = field(hash=False)

    def requirements(self) -> dict[str, Any]:
        """Return, for a GPU, the versions that its code needs and comes from, as JSON data."""
        if self.target.kind != "cuda":
            return {}
        from stepwell.runtime.driver.modules import images, ptx_version

        codes = [GpuCode.from_bytes(code) for code in self.kernels.values()]
        found = [image for code in codes for image in images(code)]
        drivers: dict[str, int] = {}
        for image in found:
            name = f"{image.kind} {image.arch}"
            drivers[name] = max(drivers.get(name, 0), image.driver)
        return {
            "minimum_driver": min(drivers.values(), default=0),
            "drivers": drivers,
            "ptx": sorted({".".join(map(str, ptx_version(code.ptx))) for code in codes}),
            "ptxas": sorted({report.version for code in codes for report in code.reports.values()}),
        }


def choose_part(parts: Sequence[Part], device: str | None) -> tuple[Part, str]:
    """Return the part to run, and the device to run it on.

    Args:
        parts: the usual one first.
        device: as for ``load``.

    Raises:
        InvalidOptionError: no part is for that device.
        DeviceError: it is a GPU, and there is none, or none of the parts runs there.
    """
    if device is None:
        device = DEVICES[parts[0].target.kind][0]
    name = device.partition(":")[0]
    fitting = [part for part in parts if name in DEVICES[part.target.kind]]
    if not fitting:
        if not any(name in known for known in DEVICES.values()):
            choose_device(parts[0].target, device)
        targets = " and ".join(str(part.target) for part in parts)
        raise InvalidOptionError(
            f"the artifact is made for {targets} and cannot run on device '{device}'",
            fix=f"use device='{DEVICES[parts[0].target.kind][-1]}', or compile for that device",
        )
    if name == "cuda":
        return _best(fitting, device), device
    return fitting[0], device


def _best(parts: Sequence[Part], device: str) -> Part:
    """Return the part that fits the GPU of this machine best."""
    from stepwell.runtime.driver.gpu import find_gpu, ordinal_of

    gpu = find_gpu(ordinal_of(device.partition(":")[2]))
    ranked = [(rank, number) for number, part in enumerate(parts) if (rank := _rank(part, gpu)) is not None]
    if not ranked:
        raise DeviceError(_unfit(parts, gpu), fix=f"compile for cuda:{gpu.arch}, or install a newer driver")
    return parts[min(ranked)[1]]


def _rank(part: Part, gpu: "Gpu") -> tuple[int, bool] | None:
    """Return how well a part fits, as its kernel that fits least; None where one has no code at all."""
    from stepwell.runtime.driver.modules import choose_image

    worst = 0
    for code in part.kernels.values():
        found = choose_image(GpuCode.from_bytes(code), gpu.capability, gpu.driver.version)
        if found is None:
            return None
        worst = max(worst, found[0])
    # Code for one machine alone uses what others of its kind do not have.
    return worst, not part.target.code.specific


def _unfit(parts: Sequence[Part], gpu: "Gpu") -> str:
    from stepwell.runtime.driver.modules import images, version_text

    lines = [
        f"{gpu.name} needs code for {gpu.arch} and a driver for CUDA {version_text(gpu.driver.version)}; there is none:"
    ]
    for part in parts:
        found = {image for code in part.kernels.values() for image in images(GpuCode.from_bytes(code))}
        lines.append(f"{part.target} has {', '.join(sorted(set(map(str, found)))) or 'no kernels'}")
    return "\n  ".join(lines)
