"""The CPU: object files in this process's memory, called through C function pointers; tensors stay where they are."""

import ctypes
import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from stepwell.runtime.binding import Bases
from stepwell.runtime.constants import Constants
from stepwell.runtime.devices.cpu_program import CpuProgram
from stepwell.runtime.devices.cpu_steps import CpuMachine
from stepwell.runtime.devices.stepped_program import SteppedProgram
from stepwell.runtime.elf import Image
from stepwell.runtime.externals import resolve
from stepwell.runtime.plan import KernelInfo, Program
from stepwell.runtime.tensors import NUMPY, TensorKind, first_foreign, recognise
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


class CpuDevice:
    """This process's memory and the CPU's cores.

    Args:
        objects, infos, target: as for ``CpuKernels``.
    """

    name = "cpu"
    scratch: TensorKind = NUMPY

    def __init__(self, objects: Mapping[str, bytes], infos: Mapping[str, KernelInfo], target: Target) -> None:
        self._infos = infos
        self._kernels = CpuKernels(objects, infos, target)

    def recognise(self, value: Any, path: str) -> tuple[TensorKind, Any]:
        """Return a tensor in CPU memory with its kind."""
        return recognise(value, path)

    def result_kind(self, kinds: Sequence[TensorKind]) -> TensorKind:
        """Return torch's kind where any argument is a torch tensor."""
        return first_foreign(kinds)

    def place(self, constants: Constants) -> list[int]:
        """Return the addresses of the host's copies."""
        return constants.addresses()

    def load(
        self, program: Program, bases: Bases, targets: Sequence[tuple[int, int]] = ()
    ) -> CpuProgram | SteppedProgram:
        """Return the program with the addresses of its kernels."""
        machine = CpuMachine(self._infos, self._kernels.addresses)
        return (
            machine.load(program, bases, targets)
            if program.is_straight
            else SteppedProgram(machine, program, bases, targets)
        )

    def fetch(self, constants: Constants, names: Sequence[str]) -> None:
        """Do nothing: the host's copies are the device's."""

    def store(self, constants: Constants, names: Sequence[str]) -> None:
        """Do nothing: the host's copies are the device's."""

    def synchronize(self) -> None:
        """Do nothing: calls return when they are done."""
