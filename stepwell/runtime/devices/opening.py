"""Which device runs the code of a target."""

from collections.abc import Mapping

from stepwell.runtime.devices.device import Device
from stepwell.runtime.plan import Plan
from stepwell.support.errors import InvalidOptionError
from stepwell.support.target import Target

DEVICES = {"cpu": ("cpu",), "cuda": ("cuda", "sim")}
"""The devices that run code of each kind of target, the usual one first."""


def choose_device(target: Target, device: str | None) -> str:
    """Return the device to use, ``name`` or ``name:detail``; raises InvalidOptionError."""
    known = DEVICES[target.kind]
    if device is None:
        return known[0]
    name = device.partition(":")[0]
    if name not in known:
        if not any(name in names for names in DEVICES.values()):
            raise InvalidOptionError(f"unknown device '{device}'", fix="use cpu, cuda or sim")
        raise InvalidOptionError(
            f"code for target '{target}' does not run on device '{device}'",
            fix=f"use device={' or '.join(map(repr, known))}, or compile for another target",
        )
    return device


def require_device(target: Target, device: str | None, *, cuda_graphs: bool = False) -> str:
    """Check, before a program is compiled for it, that a device can be used; return its name: "cpu", "cuda" or "sim".

    A GPU is looked for only where ``device`` names it: without, the code may be for another machine.

    Raises:
        InvalidOptionError: the device does not run code of this target, or has no CUDA graphs.
        DeviceError: there is no such GPU.
    """
    name, _, detail = choose_device(target, device).partition(":")
    if cuda_graphs and name != "cuda":
        raise InvalidOptionError(f"device '{name}' has no CUDA graphs", fix="leave out cuda_graphs")
    if name == "cuda" and device is not None:
        from stepwell.runtime.driver.gpu import find_gpu, ordinal_of

        find_gpu(ordinal_of(detail))
    elif name == "sim":
        from stepwell.runtime.devices.sim import simulation_mode

        simulation_mode(detail)
    return name


def open_device(plan: Plan, kernels: Mapping[str, bytes], target: Target, device: str | None) -> Device:
    """Return a device with the code of a program.

    Raises:
        InvalidOptionError: the device does not run code of this target.
        ArtifactError: the code is damaged, or does not run on this machine.
        DeviceError: there is no such device, or it cannot be used.
    """
    name, _, detail = choose_device(target, device).partition(":")
    match name:
        case "cpu":
            from stepwell.runtime.devices.cpu import CpuDevice

            return CpuDevice(kernels, plan.kernels, target)
        case "sim":
            from stepwell.runtime.devices.sim import SimDevice

            return SimDevice(kernels, plan.kernels, target, detail)
        case _:
            from stepwell.runtime.devices.cuda import CudaDevice

            opened = CudaDevice(kernels, plan.kernels, target, detail)
            if device is not None:
                # Who asks for it by name wants to know now; code that is only made for it may be saved for elsewhere.
                opened.open()
            return opened
