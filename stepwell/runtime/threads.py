"""The thread pool that kernels run on: libgomp, shared with torch where torch is there.

Two OpenMP run times in one process would each start a pool and fight over the cores, so the one that is already loaded
comes first, then torch's own (which a later ``import torch`` will then share), then the system's.  Without any, kernels
run on the calling thread.
"""

import ctypes
import importlib.util
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from stepwell.runtime.memory import executable_bytes

THREAD_FUNCTIONS = (
    "GOMP_parallel",
    "omp_get_max_threads",
    "omp_get_num_threads",
    "omp_get_thread_num",
    "omp_in_parallel",
)
"""What kernels and the runtime use of OpenMP's interface."""

# GOMP_parallel(function, data, threads, flags) becomes function(data): mov rax, rdi; mov rdi, rsi; jmp rax.
_SERIAL_PARALLEL = bytes.fromhex("4889f84889f7ffe0")
_RETURN_ZERO = bytes.fromhex("31c0c3")  # xor eax, eax; ret
_RETURN_ONE = bytes.fromhex("b801000000c3")  # mov eax, 1; ret


@dataclass(frozen=True)
class ThreadLibrary:
    """Where the thread functions come from.

    Attributes:
        source: "loaded", "torch", "system" or "serial".
        path: the library, or "" for "serial".
    """

    source: str
    path: str


@cache
def thread_library() -> ThreadLibrary:
    """Return the library that this process uses, loading it where needed; warns once where there is none."""
    for source, find in _SEARCH:
        path = find()
        if path and _loads(path):
            return ThreadLibrary(source, path)
    warnings.warn("no libgomp.so.1 was found: stepwell's kernels run on one thread", RuntimeWarning, stacklevel=2)
    return ThreadLibrary("serial", "")


@cache
def thread_functions() -> dict[str, int]:
    """Return the addresses of the thread functions by name."""
    library = thread_library()
    if library.source == "serial":
        return _serial_functions()
    functions = ctypes.CDLL(library.path)
    return {name: ctypes.cast(getattr(functions, name), ctypes.c_void_p).value or 0 for name in THREAD_FUNCTIONS}


@cache
def max_threads_function() -> Callable[[], int]:
    """Return a function that tells how many threads a parallel region of the calling thread may have."""
    function: Callable[[], int] = ctypes.CFUNCTYPE(ctypes.c_int)(thread_functions()["omp_get_max_threads"])
    return function


def _serial_functions() -> dict[str, int]:
    code = dict.fromkeys(THREAD_FUNCTIONS, _RETURN_ONE) | {
        "GOMP_parallel": _SERIAL_PARALLEL,
        "omp_get_thread_num": _RETURN_ZERO,
        "omp_in_parallel": _RETURN_ZERO,
    }
    return {name: executable_bytes(data) for name, data in code.items()}


def _loaded_library() -> str:
    try:
        lines = Path("/proc/self/maps").read_text().splitlines()
    except OSError:
        return ""
    paths = (line.split(maxsplit=5)[-1] for line in lines if "libgomp" in line)
    return next((path for path in paths if Path(path).name.startswith("libgomp") and ".so" in path), "")


def _torch_library() -> str:
    try:
        # Finding a package does not import it.
        spec = importlib.util.find_spec("torch")
    except (ImportError, ValueError):
        return ""
    for directory in (spec.submodule_search_locations or ()) if spec else ():
        found = sorted(Path(directory, "lib").glob("libgomp*.so*"))
        if found:
            return str(found[0])
    return ""


def _system_library() -> str:
    return "libgomp.so.1"


_SEARCH: tuple[tuple[str, Callable[[], str]], ...] = (
    ("loaded", _loaded_library),
    ("torch", _torch_library),
    ("system", _system_library),
)


def _loads(path: str) -> bool:
    try:
        library = ctypes.CDLL(path)
    except OSError:
        return False
    return all(hasattr(library, name) for name in THREAD_FUNCTIONS)
