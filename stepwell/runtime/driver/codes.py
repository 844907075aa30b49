"""The driver's error codes that have something to tell, as errors.

The numbers are those of ``CUresult`` in the CUDA driver API's documentation.
"""

from stepwell.support.errors import DeviceError, LaunchError

OUT_OF_MEMORY = 2

_CHOOSE_SIM = "device='sim' runs without a GPU"
_FIXES = {
    OUT_OF_MEMORY: "free memory of other programs or tensors, or call with smaller ones",
    34: "the library is a stub for linking: put the driver's own libcuda.so.1 before it",
    46: "another process holds the GPU for itself",
    100: f"{_CHOOSE_SIM}; CUDA_VISIBLE_DEVICES may hide one",
    101: "choose a GPU that is there: device='cuda:0'",
    209: "compile for this GPU's architecture",
    218: "compile for this GPU's architecture with a PTX version that its driver knows",
    222: "install a newer NVIDIA driver",
    802: "the GPU is not ready yet; on machines with NVSwitch, start the fabric manager",
    803: "the driver's library and its kernel module differ: restart the machine after an update",
}
_BROKEN = {
    700: "a kernel accessed memory outside of its tensors",
    702: "a kernel ran longer than the system allows",
    714: "a kernel broke the GPU's stack",
    715: "a kernel executed an illegal instruction",
    716: "a kernel accessed memory at a misaligned address",
    717: "a kernel used an address of another memory space",
    718: "a kernel jumped to an illegal address",
    719: "a kernel broke while it ran",
}
_REFUSED = {1: "the launch's sizes or parameters", 701: "registers, threads or shared memory beyond what the GPU has"}

RERUN = "check_errors=True in a new process names the kernel; device='sim:strict' names the PTX line"


def is_sticky(code: int) -> bool:
    """Tell whether the GPU can no longer be used by this process."""
    return code in _BROKEN


def error_for(code: int, name: str, doing: str) -> DeviceError:
    """Return the error for a code outside of launches."""
    if is_sticky(code):
        return broken(code, name, "")
    return DeviceError(f"{doing}: {name}", fix=_FIXES.get(code, ""))


def broken(code: int, name: str, kernel: str) -> LaunchError:
    """Return the error for kernels that broke; ``kernel`` names the one, where it is known."""
    where = kernel or "in an earlier kernel, of this program or another"
    return LaunchError(
        f"{_BROKEN[code]} ({where}): {name}; this process cannot use the GPU any more",
        fix="restart the process" if kernel else RERUN,
    )


def refused(code: int, name: str, kernel: str) -> DeviceError:
    """Return the error for a kernel that was not launched."""
    if is_sticky(code):
        return broken(code, name, "")
    if code == OUT_OF_MEMORY:
        return DeviceError(f"{kernel} cannot be launched: {name}", fix=_FIXES[code])
    why = f" ({_REFUSED[code]})" if code in _REFUSED else ""
    return LaunchError(f"{kernel} cannot be launched: {name}{why}", fix=_FIXES.get(code, ""))
