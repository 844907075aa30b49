"""Machine code on a GPU: choosing the image of a kernel, loading it, and its functions."""

import ctypes
import re
import weakref
from collections.abc import Mapping
from dataclasses import dataclass

from stepwell.runtime.driver.gpu import Gpu
from stepwell.runtime.gpu_code import GpuCode
from stepwell.runtime.grids import GridLaunch
from stepwell.support.errors import DeviceError
from stepwell.support.target import Target

_MAX_DYNAMIC_SHARED, _NON_PORTABLE_CLUSTERS = 8, 14
_ERROR_LOG, _ERROR_LOG_BYTES = 5, 6
_LOG_BYTES = 8192
# More blocks than this in a cluster is beyond what every GPU with clusters has.
_PORTABLE_CLUSTER = 8
# The first CUDA version whose drivers read each PTX version (PTX ISA, "Release History").
_PTX_DRIVERS = {
    **{(7, minor): (11, minor) for minor in range(9)},
    **{(8, minor): (12, minor) for minor in range(6)},
    (8, 6): (12, 7),
    (8, 7): (12, 8),
    (8, 8): (12, 9),
}
_VERSION = re.compile(r"^\s*\.version\s+(\d+)\.(\d+)", re.MULTILINE)


@dataclass(frozen=True)
class Image:
    """Code of a kernel that a GPU may run.

    Attributes:
        kind: "cubin" or "ptx".
        arch: the architecture it was made for.
        driver: the lowest driver version that reads it, as ``cuDriverGetVersion`` counts: 12040 is CUDA 12.4.
        data: the machine code, or the PTX text.
    """

    kind: str
    arch: str
    driver: int
    data: bytes

    def __str__(self) -> str:
        return f"{self.kind} for {self.arch} (driver for CUDA {version_text(self.driver)} or newer)"


def version_text(version: int) -> str:
    """Return a version as people write it: "12.4" for 12040."""
    return f"{version // 1000}.{version % 1000 // 10}"


def images(code: GpuCode) -> list[Image]:
    """Return all images of a kernel, machine code first."""
    found = [Image("cubin", arch, _cubin_driver(code, arch), data) for arch, data in code.cubins.items()]
    return [*found, Image("ptx", code.arch, ptx_driver(code.ptx), code.ptx.encode())]


def ptx_version(ptx: str) -> tuple[int, int]:
    """Return the version that PTX text declares; (0, 0) where it declares none."""
    found = _VERSION.search(ptx)
    return (int(found.group(1)), int(found.group(2))) if found else (0, 0)


def ptx_driver(ptx: str) -> int:
    """Return the lowest driver version that reads this PTX."""
    version = ptx_version(ptx)
    major, minor = _PTX_DRIVERS.get(version, (version[0] + 4, version[1]))
    return 1000 * major + 10 * minor


def _cubin_driver(code: GpuCode, arch: str) -> int:
    # Drivers run the machine code of every toolkit of their own major version.
    report = code.reports.get(arch)
    major = report.version.partition(".")[0] if report is not None else ""
    return 1000 * int(major) if major.isdigit() else 0


def rank(image: Image, capability: tuple[int, int]) -> int | None:
    """Return how well an image fits a GPU: 0 made for it, 1 for an older one of its kind, 2 by the driver's compiler.

    None where it does not run there at all.
    """
    made_for = Target("cuda", image.arch).code
    if made_for.capability == capability:
        return 0 if image.kind == "cubin" else 2
    if made_for.specific or made_for.capability > capability:
        return None
    if image.kind == "ptx":
        return 2
    return 1 if made_for.capability[0] == capability[0] else None


def choose_image(kernels: GpuCode, capability: tuple[int, int], driver: int) -> tuple[int, Image] | None:
    """Return the best image of a kernel that this GPU and driver run, with its rank; None where there is none."""
    fitting = [
        (found, not Target("cuda", image.arch).code.specific, number, image)
        for number, image in enumerate(images(kernels))
        if image.driver <= driver and (found := rank(image, capability)) is not None
    ]
    best = min(fitting, default=None, key=lambda entry: entry[:3])
    return None if best is None else (best[0], best[3])


class Module:
    """Code of a kernel on a GPU; it is unloaded when this object goes.

    Args:
        gpu: the GPU, whose context is current.
        name: the kernel's, for errors.
        image: the code.
        grids: the launches of its entries.

    Attributes:
        functions: handle of each entry.
    """

    def __init__(self, gpu: Gpu, name: str, image: Image, grids: tuple[GridLaunch, ...]) -> None:
        handle = _load(gpu, name, image)
        weakref.finalize(self, _unload, gpu, handle)
        self.functions: Mapping[str, int] = {grid.entry: _function(gpu, handle, name, grid) for grid in grids}


def _load(gpu: Gpu, name: str, image: Image) -> int:
    log = ctypes.create_string_buffer(_LOG_BYTES)
    options = (ctypes.c_int * 2)(_ERROR_LOG, _ERROR_LOG_BYTES)
    values = (ctypes.c_size_t * 2)(ctypes.addressof(log), len(log))
    data = image.data if image.kind == "cubin" else image.data + b"\0"
    module = ctypes.c_size_t()
    driver = gpu.driver
    code = driver.attempt("cuModuleLoadDataEx", ctypes.byref(module), data, 2, options, values)
    if code:
        said = log.value.decode(errors="replace").strip()
        raise DeviceError(
            f"the driver does not load the {image.kind} of kernel '{name}' for {image.arch} on {gpu.name} "
            f"({gpu.arch}): {driver.name_of(code)}" + (f"\n{said}" if said else ""),
            fix="compile for this GPU's architecture, or install a newer driver",
        )
    return module.value


def _function(gpu: Gpu, module: int, kernel: str, grid: GridLaunch) -> int:
    doing = f"kernel '{kernel}' cannot be prepared on {gpu.name}"
    function = gpu.driver.handle("cuModuleGetFunction", module, grid.entry.encode(), doing=doing)
    if grid.shared_bytes:
        doing = f"kernel '{kernel}' needs {grid.shared_bytes} bytes of shared memory, which {gpu.name} does not give"
        gpu.driver.call("cuFuncSetAttribute", function, _MAX_DYNAMIC_SHARED, grid.shared_bytes, doing=doing)
    if grid.cluster > _PORTABLE_CLUSTER:
        doing = f"kernel '{kernel}' needs clusters of {grid.cluster} blocks, which {gpu.name} does not have"
        gpu.driver.call("cuFuncSetAttribute", function, _NON_PORTABLE_CLUSTERS, 1, doing=doing)
    return function


def _unload(gpu: Gpu, module: int) -> None:
    # Launches may still run.
    driver = gpu.driver
    if driver.attempt("cuCtxPushCurrent_v2", gpu.context) == 0:
        driver.attempt("cuCtxSynchronize")
        driver.attempt("cuModuleUnload", module)
        driver.attempt("cuCtxPopCurrent_v2", ctypes.byref(ctypes.c_size_t()))
