"""The functions that kernels may call outside themselves: an explicit list, each with the library it comes from."""

import ctypes
from functools import cache

from stepwell.runtime.threads import THREAD_FUNCTIONS, thread_functions
from stepwell.support.errors import ObjectError

_MEMORY = frozenset({"memcpy", "memmove", "memset", "memcmp", "aligned_alloc", "malloc", "free"})

_MATH_NAMES = (
    *("acos", "acosh", "asin", "asinh", "atan", "atan2", "atanh", "cos", "cosh", "sin", "sinh", "tan", "tanh"),
    *("cbrt", "exp", "exp2", "expm1", "hypot", "log", "log10", "log1p", "log2", "pow", "sqrt"),
    *("ceil", "floor", "nearbyint", "rint", "round", "roundeven", "trunc"),
    *("copysign", "fabs", "fma", "fmax", "fmin", "fmod", "ldexp", "remainder"),
    *("erf", "erfc", "lgamma", "tgamma"),
)
_MATH = frozenset(name + suffix for name in _MATH_NAMES for suffix in ("", "f"))

_THREADS = frozenset(THREAD_FUNCTIONS)

KNOWN_SYMBOLS = _MEMORY | _MATH | _THREADS
"""All names that a kernel's object file may leave undefined."""


@cache
def resolve(name: str) -> int:
    """Return the address of external function ``name``; raises ObjectError for one that kernels may not call."""
    if name in _THREADS:
        return thread_functions()[name]
    if name in _MATH:
        return address_in("libm.so.6", name)
    if name in _MEMORY:
        return address_in("libc.so.6", name)
    raise ObjectError(f"a kernel calls '{name}', which is not among the functions that kernels may call")


def address_in(library: str, name: str) -> int:
    """Return the address of ``name`` in a shared library; raises ObjectError where either is missing."""
    try:
        function = getattr(ctypes.CDLL(library), name)
    except (OSError, AttributeError) as error:
        raise ObjectError(f"kernels need '{name}' from {library}: {error}") from error
    return ctypes.cast(function, ctypes.c_void_p).value or 0
