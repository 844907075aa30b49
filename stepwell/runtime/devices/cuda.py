"""A GPU of this machine: kernels as modules of the driver, tensors where they are, calls in a stream's order.

torch tensors are used on torch's current stream, with memory of torch's allocator; for everything else there is a
stream of our own, and the driver's pool.  Calls whose tensors are all on the GPU return before it is done; calls with
tensors of the host bring the results back.  What kernels report is raised at the next call or synchronisation after it
is known, or at once with ``check_errors=True``.

The GPU is opened when it is first needed, so that code can be made and saved on a machine without one.
"""

import hashlib
import threading
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from stepwell.runtime.binding import Bases
from stepwell.runtime.constants import Constants
from stepwell.runtime.devices.cuda_program import CudaProgram, LoadedCode
from stepwell.runtime.devices.cuda_segments import CudaMachine
from stepwell.runtime.devices.device import Tensor
from stepwell.runtime.devices.staging import SCRATCH
from stepwell.runtime.devices.stepped_program import SteppedProgram
from stepwell.runtime.driver.gpu import Block, Gpu, find_gpu, ordinal_of
from stepwell.runtime.driver.modules import Module, choose_image, images, version_text
from stepwell.runtime.driver.queues import CudaQueue
from stepwell.runtime.driver.tensors import DeviceTensors
from stepwell.runtime.gpu_code import GpuCode, read_codes
from stepwell.runtime.plan import KernelInfo, Program
from stepwell.runtime.tensors import TensorKind
from stepwell.support.errors import DeviceError
from stepwell.support.target import Target


class CudaDevice:
    """A GPU with the code of one executable.

    Args:
        code: ``GpuCode`` as bytes, by kernel name.
        infos: what is known of the kernels.
        target: what the code was made for.
        ordinal: number of the GPU, as text; "" for 0.

    Raises:
        ArtifactError: the code is missing or damaged.
        InvalidOptionError: ``ordinal`` is no number.
    """

    name = "cuda"
    scratch: TensorKind = SCRATCH

    def __init__(
        self, code: Mapping[str, bytes], infos: Mapping[str, KernelInfo], target: Target, ordinal: str = ""
    ) -> None:
        self._code = read_codes(code, infos)
        self._infos = infos
        self._target = target
        self._ordinal = ordinal_of(ordinal)
        self._opened: _Opened | None = None
        self._lock = threading.Lock()
        self._blocks: dict[str, Block] = {}
        self._programs: list[CudaProgram] = []

    def open(self) -> "_Opened":
        """Find the GPU and load the kernels, once.

        Raises:
            DeviceError: there is no GPU or driver, or none that runs this code.
        """
        with self._lock:
            if self._opened is None:
                gpu = find_gpu(self._ordinal)
                self._opened = _Opened(gpu, load_kernels(gpu, self._code, self._infos))
            return self._opened

    @property
    def gpu(self) -> Gpu:
        """The GPU."""
        return self.open().gpu

    def recognise(self, value: Any, path: str) -> Tensor:
        """Return a tensor of this GPU or of the host with its kind."""
        return (self._opened or self.open()).tensors.recognise(value, path)

    def result_kind(self, kinds: Sequence[TensorKind]) -> TensorKind:
        """Return the kind of the first argument on the GPU, or that of a host's library where all are there."""
        return (self._opened or self.open()).tensors.result_kind(kinds)

    def place(self, constants: Constants) -> list[int]:
        """Copy the program's own tensors to the GPU, those that it does not have from another executable."""
        addresses = constants.addresses()
        gpu = self.gpu
        with gpu.lock, gpu.current():
            for name, number in constants.numbers.items():
                self._blocks[name] = self._place(constants, name)
                addresses[number] = self._blocks[name].address
            CudaQueue(gpu, gpu.stream).wait()
        return addresses

    def _place(self, constants: Constants, name: str) -> Block:
        gpu, array = self.gpu, constants.array(name)
        queue = CudaQueue(gpu, gpu.stream)
        if name in constants.changed:
            block = Block(gpu, array.nbytes, f"buffer '{name}'")
            queue.upload(block.address, array)
            return block
        key = (hashlib.blake2b(array.reshape(-1).view(np.uint8).data).digest(), array.nbytes)
        shared = gpu.shared.get(key)
        if shared is None:
            shared = gpu.shared[key] = Block(gpu, array.nbytes, f"parameter '{name}'")
            queue.upload(shared.address, array)
        return shared

    def load(
        self, program: Program, bases: Bases, targets: Sequence[tuple[int, int]] = ()
    ) -> CudaProgram | SteppedProgram:
        """Return the program."""
        machine = CudaMachine(self.open().code, self._infos, self._programs)
        return (
            machine.load(program, bases, targets)
            if program.is_straight
            else SteppedProgram(machine, program, bases, targets)
        )

    def fetch(self, constants: Constants, names: Sequence[str]) -> None:
        """Copy own tensors to the host, after all calls."""
        if self._blocks:
            self.synchronize()
            queue = CudaQueue(self.gpu, self.gpu.stream)
            with self.gpu.current():
                for name in names:
                    queue.download(constants.array(name), self._blocks[name].address)
                queue.wait()

    def store(self, constants: Constants, names: Sequence[str]) -> None:
        """Copy own tensors to the GPU, after all calls."""
        if self._blocks:
            self.synchronize()
            queue = CudaQueue(self.gpu, self.gpu.stream)
            with self.gpu.current():
                for name in names:
                    queue.upload(self._blocks[name].address, constants.array(name))
                queue.wait()

    def synchronize(self) -> None:
        """Wait for all calls; raises what their kernels reported."""
        if self._opened is None:
            return
        with self.gpu.current():
            self.gpu.driver.call("cuCtxSynchronize")
        for program in self._programs:
            program.report_failures()


class _Opened:
    """What a device has once its GPU is found."""

    def __init__(self, gpu: Gpu, code: LoadedCode) -> None:
        self.gpu = gpu
        self.code = code
        self.tensors = DeviceTensors(gpu)


def load_kernels(gpu: Gpu, code: Mapping[str, GpuCode], infos: Mapping[str, KernelInfo]) -> LoadedCode:
    """Load the best image of each kernel; raises DeviceError where there is none for this GPU and driver."""
    chosen = {}
    for name, kernel in code.items():
        found = choose_image(kernel, gpu.capability, gpu.driver.version)
        if found is None:
            raise DeviceError(unfit(gpu, name, kernel), fix="compile for this GPU, or install a newer driver")
        chosen[name] = found[1]
    with gpu.current():
        modules = {name: Module(gpu, name, image, infos[name].grids) for name, image in chosen.items()}
    return LoadedCode(gpu, modules)


def unfit(gpu: Gpu, name: str, code: GpuCode) -> str:
    """Say what a GPU needs, and what there is."""
    have = "; ".join(map(str, images(code)))
    version = version_text(gpu.driver.version)
    return f"{gpu.name} needs code for {gpu.arch} and a driver for CUDA {version}; kernel '{name}' has {have}"
