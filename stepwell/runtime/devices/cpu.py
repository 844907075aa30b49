"""The CPU: object files in this process's memory, called through C function pointers."""

import ctypes
import os
from collections.abc import Callable, Mapping

from stepwell.runtime.elf import Image
from stepwell.runtime.externals import resolve
from stepwell.runtime.plan import KernelInfo
from stepwell.support.errors import ArtifactError
from stepwell.support.target import Target, missing_features


class CpuKernels:
    """The machine code of an executable; it stays loaded while anything here, or a kernel it gave out, lives.

    Args:
        objects: object files by kernel name.
        infos: the name of the function in each.
        target: what the code was made for.

    Attributes:
        addresses: address of each kernel, valid while this object lives.

    Raises:
        ArtifactError: the code cannot run on this machine, or is not what the loader takes.
    """

    def __init__(self, objects: Mapping[str, bytes], infos: Mapping[str, KernelInfo], target: Target) -> None:
        missing = missing_features(target)
        if missing:
            raise ArtifactError(
                f"the code is made for {target}, and this machine's CPU lacks {', '.join(missing)}",
                fix="compile for this machine with target='cpu'",
            )
        lacking = sorted(set(infos) - set(objects))
        if lacking:
            raise ArtifactError(f"there is no machine code for kernels {', '.join(lacking)}")
        self.image = Image(objects, resolve)
        self.addresses = {name: self.image.address(name, info.symbol) for name, info in infos.items()}
        if os.environ.get("STEPWELL_PERF_MAP"):
            self.image.write_perf_map()

    def function(self, name: str, arguments: int) -> Callable[..., None]:
        """Return kernel ``name`` as a function of so many integers.  It releases the interpreter while it runs."""
        prototype = ctypes.CFUNCTYPE(None, *[ctypes.c_int64] * arguments)
        function: Callable[..., None] = prototype(self.addresses[name])
        # Code must not be unmapped under a caller that holds the function alone.
        function.image = self.image  # type: ignore[attr-defined]
        return function
