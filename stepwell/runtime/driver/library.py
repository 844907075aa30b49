"""The CUDA driver's functions, from ``libcuda.so.1``, which is loaded when the first of them is wanted.

They are called through ctypes, which needs no package beside Python.  The launches of a program are not called from
Python at all, but from the machine code in ``runtime/launcher.py``.  Measured against a stub of the library: a launch
costs 7 us through ctypes, 2 us through cuda-bindings (5 us where it packs the arguments), 0.06 us from the table.
"""

import ctypes
from collections.abc import Callable
from functools import cache
from typing import Any

from stepwell.runtime.driver.codes import error_for
from stepwell.support.errors import DeviceError

LIBRARY = "libcuda.so.1"

_TYPES = {
    "i": ctypes.c_int,
    "u": ctypes.c_uint,
    "z": ctypes.c_size_t,  # sizes, device pointers and handles
    "p": ctypes.c_void_p,  # memory of the host
}
# What the functions take; where a function has versions, its name is that of the version meant.
_SIGNATURES = {
    "cuInit": "u",
    "cuDriverGetVersion": "p",
    "cuGetErrorName": "ip",
    "cuGetErrorString": "ip",
    "cuDeviceGetCount": "p",
    "cuDeviceGet": "pi",
    "cuDeviceGetName": "pii",
    "cuDeviceGetAttribute": "pii",
    "cuDeviceGetDefaultMemPool": "pi",
    "cuMemPoolSetAttribute": "zip",
    "cuDevicePrimaryCtxRetain": "pi",
    "cuCtxPushCurrent_v2": "z",
    "cuCtxPopCurrent_v2": "p",
    "cuCtxSynchronize": "",
    "cuMemGetInfo_v2": "pp",
    "cuModuleLoadDataEx": "ppupp",
    "cuModuleUnload": "z",
    "cuModuleGetFunction": "pzp",
    "cuFuncSetAttribute": "zii",
    "cuMemAllocAsync": "pzz",
    "cuMemFreeAsync": "zz",
    "cuMemHostAlloc": "pzu",
    "cuMemcpyHtoDAsync_v2": "zpzz",
    "cuMemcpyDtoHAsync_v2": "pzzz",
    "cuMemcpyDtoDAsync_v2": "zzzz",
    "cuMemsetD32Async": "zuzz",
    "cuStreamCreate": "pu",
    "cuStreamDestroy_v2": "z",
    "cuStreamSynchronize": "z",
    "cuStreamWaitEvent": "zzu",
    "cuStreamBeginCapture_v2": "zi",
    "cuStreamEndCapture": "zp",
    "cuEventCreate": "pu",
    "cuEventDestroy_v2": "z",
    "cuEventRecord": "zz",
    "cuEventQuery": "z",
    "cuEventElapsedTime": "pzz",
    "cuGraphInstantiateWithFlags": "pzz",
    "cuGraphLaunch": "zz",
    "cuGraphExecDestroy": "z",
    "cuGraphDestroy": "z",
    "cuTensorMapEncodeTiled": "piuzppppiiii",
    # Called from machine code alone.
    "cuLaunchKernel": "",
    "cuLaunchKernelEx": "",
}


class Driver:
    """The driver's functions.

    Args:
        find: returns the address of a function, or 0 where the driver has none of that name.
    """

    def __init__(self, find: Callable[[str], int]) -> None:
        self._find = find
        self._functions: dict[str, Callable[..., int]] = {}
        self._addresses: dict[str, int] = {}
        self.version = self._start()

    def _start(self) -> int:
        code = self.attempt("cuInit", 0)
        if code:
            raise error_for(code, self.name_of(code), "the NVIDIA driver does not start")
        version = ctypes.c_int()
        self.call("cuDriverGetVersion", ctypes.byref(version))
        return version.value

    def address(self, name: str) -> int:
        """Return the address of a function; raises DeviceError where the driver is too old to have it."""
        if name not in self._addresses:
            found = self._find(name)
            if not found:
                raise DeviceError(f"the NVIDIA driver has no function {name}", fix="install a newer driver")
            self._addresses[name] = found
        return self._addresses[name]

    def attempt(self, name: str, *arguments: Any) -> int:
        """Call a function; return its error code."""
        function = self._functions.get(name)
        if function is None:
            types = [_TYPES[letter] for letter in _SIGNATURES[name]]
            function = self._functions[name] = ctypes.CFUNCTYPE(ctypes.c_int, *types)(self.address(name))
        return function(*arguments)

    def call(self, name: str, *arguments: Any, doing: str = "") -> None:
        """Call a function; raises DeviceError, which says what was being done."""
        code = self.attempt(name, *arguments)
        if code:
            raise error_for(code, self.name_of(code), doing or f"{name} failed")

    def handle(self, name: str, *arguments: Any, doing: str = "") -> int:
        """Call a function whose first parameter receives a handle or an address; return that."""
        found = ctypes.c_size_t()
        self.call(name, ctypes.byref(found), *arguments, doing=doing)
        return found.value

    def name_of(self, code: int) -> str:
        """Return the name of an error, and what the driver says of it."""
        texts = []
        for function in ("cuGetErrorName", "cuGetErrorString"):
            text = ctypes.c_char_p()
            if self.attempt(function, code, ctypes.byref(text)) == 0 and text.value:
                texts.append(text.value.decode(errors="replace"))
        return ": ".join(texts) or f"error {code}"


@cache
def open_driver() -> Driver:
    """Return the driver of this machine; raises DeviceError where there is none, or no GPU."""
    return Driver(_library())


def _library() -> Callable[[str], int]:
    try:
        library = ctypes.CDLL(LIBRARY)
    except OSError as error:
        raise DeviceError(
            f"there is no NVIDIA driver on this machine: {error}",
            fix="install the driver, or use device='sim', which needs none",
        ) from None

    def find(name: str) -> int:
        try:
            return ctypes.cast(getattr(library, name), ctypes.c_void_p).value or 0
        except AttributeError:
            return 0

    return find
