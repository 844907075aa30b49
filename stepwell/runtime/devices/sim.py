"""The simulated GPU: runs the PTX of kernels on the host, slowly, and counts what they do.

``STEPWELL_SIM=strict`` (or ``strict:SEED``) chooses the strict mode, which finds races and takes much longer; so does
``device="sim:strict"``.
"""

import os
import struct
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from stepwell.runtime.binding import Bases, ResultPlace
from stepwell.runtime.constants import Constants
from stepwell.runtime.devices.device import PLAIN, CallMode, Tensor
from stepwell.runtime.devices.failures import describe, failure
from stepwell.runtime.devices.grid_program import BoundGrid, BoundGrids, GridBinder
from stepwell.runtime.devices.staging import SCRATCH, Staging
from stepwell.runtime.devices.stepped_program import SteppedProgram
from stepwell.runtime.gpu_code import read_codes
from stepwell.runtime.plan import KernelInfo, Program
from stepwell.runtime.report import Sample
from stepwell.runtime.simulator import Simulator, TensorMapValue
from stepwell.runtime.tensors import Array, TensorKind, first_foreign, recognise
from stepwell.support.errors import InvalidOptionError, StepwellError
from stepwell.support.target import Target

VARIABLE = "STEPWELL_SIM"
_MODES = ("fast", "strict")


def simulation_mode(text: str) -> tuple[str, int]:
    """Return mode and seed of ``fast``, ``strict`` or ``strict:SEED``; "" is what STEPWELL_SIM says, else fast."""
    text = text or os.environ.get(VARIABLE, "") or _MODES[0]
    mode, _, seed = text.partition(":")
    if mode not in _MODES or not (seed or "0").isdigit():
        raise InvalidOptionError(f"unknown simulation mode '{text}'", fix="use fast, strict or strict:SEED")
    return mode, int(seed or 0)


class SimQueue:
    """The memory of a simulator, in which everything is done at once."""

    def __init__(self, simulator: Simulator) -> None:
        self.simulator = simulator

    def allocate(self, nbytes: int) -> int:
        """Return the address of fresh memory; 0 for none."""
        return self.simulator.allocate(nbytes) if nbytes else 0

    def free(self, address: int) -> None:
        """Free it."""
        self.simulator.free(address)

    def upload(self, address: int, array: Array) -> None:
        """Copy a contiguous array of the host."""
        if array.nbytes:
            self.simulator.write(address, array.reshape(-1).view(np.uint8))

    def download(self, array: Array, address: int) -> None:
        """Copy to a contiguous array of the host."""
        if array.nbytes:
            found = np.frombuffer(self.simulator.read(address, array.nbytes), np.uint8)
            array.reshape(-1).view(np.uint8)[:] = found

    def copy(self, target: int, source: int, nbytes: int) -> None:
        """Copy within the device."""
        if nbytes:
            self.simulator.write(target, self.simulator.read(source, nbytes))

    def wait(self) -> None:
        """Do nothing."""


class SimDevice:
    """A simulated GPU with the code of one executable.

    Args:
        code: ``GpuCode`` as bytes, by kernel name.
        infos: what is known of the kernels.
        target: what the code was made for.
        mode: as for ``simulation_mode``.

    Raises:
        ArtifactError: the code is missing or damaged.
        SimulationError: it is not PTX that the simulator knows.
    """

    name = "sim"
    scratch: TensorKind = SCRATCH

    def __init__(
        self, code: Mapping[str, bytes], infos: Mapping[str, KernelInfo], target: Target, mode: str = ""
    ) -> None:
        chosen, seed = simulation_mode(mode)
        self.infos = infos
        self.simulator = Simulator(arch=target.arch, mode=chosen, seed=seed)
        self.queue = SimQueue(self.simulator)
        self.modules = {name: self.simulator.load(made.ptx) for name, made in read_codes(code, infos).items()}
        # A simulator does one thing at a time.
        self.lock = threading.RLock()
        self._places: dict[str, int] = {}

    def recognise(self, value: Any, path: str) -> Tensor:
        """Return a tensor in CPU memory with its kind."""
        return recognise(value, path)

    def result_kind(self, kinds: Sequence[TensorKind]) -> TensorKind:
        """Return torch's kind where any argument is a torch tensor."""
        return first_foreign(kinds)

    def place(self, constants: Constants) -> list[int]:
        """Copy the program's own tensors to the device."""
        addresses = constants.addresses()
        with self.lock:
            for name, number in constants.numbers.items():
                addresses[number] = self._places[name] = self.queue.allocate(constants.array(name).nbytes)
        self.store(constants, constants.names)
        return addresses

    def load(
        self, program: Program, bases: Bases, targets: Sequence[tuple[int, int]] = ()
    ) -> "SimProgram | SteppedProgram":
        """Return the program."""
        machine = SimMachine(self)
        return (
            machine.load(program, bases, targets)
            if program.is_straight
            else SteppedProgram(machine, program, bases, targets)
        )

    def fetch(self, constants: Constants, names: Sequence[str]) -> None:
        """Copy own tensors to the host."""
        with self.lock:
            for name in names if self._places else ():
                self.queue.download(constants.array(name), self._places[name])

    def store(self, constants: Constants, names: Sequence[str]) -> None:
        """Copy own tensors to the device."""
        with self.lock:
            for name in names if self._places else ():
                self.queue.upload(self._places[name], constants.array(name))

    def synchronize(self) -> None:
        """Do nothing: calls return when they are done."""


class SimProgram:
    """A program on a simulated GPU.

    Args:
        device: runs it.
        binder: fills in sizes.
    """

    def __init__(self, device: SimDevice, binder: GridBinder) -> None:
        self._device = device
        self._binder = binder

    def bind(self, sizes: Mapping[str, int]) -> BoundGrids:
        """Return the program for these sizes."""
        return self._binder.bind(sizes)

    def prepare(self, bound: BoundGrids) -> list[int]:
        """Run a program that takes nothing; return the addresses of its results."""
        with self._device.lock:
            blocks = [self._device.queue.allocate(place.size) for place in bound.results]
            self.run(bound, Staging(self._device.queue), blocks, PLAIN)
        return blocks

    def call(self, bound: BoundGrids, arguments: Sequence[Tensor], results: Sequence[Tensor], mode: CallMode) -> None:
        """Run the program on tensors."""
        with self._device.lock:
            staging = Staging(self._device.queue)
            try:
                addresses = [staging.argument(kind, value) for kind, value in arguments]
                addresses += [
                    staging.result(*result, place) for result, place in zip(results, bound.results, strict=True)
                ]
                self.run(bound, staging, addresses, mode)
                staging.bring_back()
            finally:
                staging.close()

    def run(self, bound: BoundGrids, staging: Staging, addresses: Sequence[int], mode: CallMode) -> None:
        """Run on arguments and results at these addresses of the device; raises RuntimeFailure."""
        queue = self._device.queue
        # Fresh memory for each call shows reads of what nothing wrote.
        slots = np.zeros(len(self._binder.checked) + 1, np.int32)
        status = staging.allocate(slots.nbytes)
        queue.upload(status, slots)
        scratch = (staging.allocate(bound.arena_bytes), staging.allocate(bound.workspace))
        bases = [0, *scratch, status, *addresses]
        for grid in bound.grids:
            if grid.runs(bases):
                self._launch(grid, bases, mode.samples)
        queue.download(slots, status)
        failures = [(slot, int(slots[slot])) for slot in range(1, len(slots)) if slots[slot]]
        if failures:
            raise failure(self._binder.program, self._device.infos, self._binder.checked, failures)
        for copy in bound.copies:
            target, source = copy.target, copy.source
            queue.copy(bases[target.base] + target.offset, bases[source.base] + source.offset, copy.size)

    def _launch(self, bound: BoundGrid, bases: Sequence[int], samples: list[Sample] | None) -> None:
        grid = bound.grid
        parameters = bytearray(bound.parameter_bytes)
        words = [bases[place.base] + place.offset for place in bound.words]
        # Sizes are signed, addresses are not; both are the same bits.
        struct.pack_into(f"<{len(words)}Q", parameters, 0, *(word % 2**64 for word in words))
        simulator = self._device.simulator
        before = None if samples is None else simulator.counters.to_json()
        try:
            maps = {
                view.position: TensorMapValue(
                    bases[view.place.base] + view.place.offset,
                    view.dtype,
                    view.sizes,
                    view.strides,
                    view.box,
                    view.swizzle,
                    view.element_strides,
                )
                for view in bound.maps
                if not view.is_empty
            }
            simulator.launch(
                self._device.modules[bound.kernel],
                grid.entry,
                bound.blocks,
                grid.threads,
                bytes(parameters),
                shared_bytes=grid.shared_bytes,
                cluster=grid.cluster,
                tensor_maps=maps,
            )
        except StepwellError as error:
            error.message = f"{describe(self._binder.program.launches[bound.number])}: {error.message}"
            raise
        if samples is not None and before is not None:
            samples.append(Sample(bound.number, counts=_difference(before, simulator.counters.to_json())))


class SimMachine:
    """What steps of the host take of a simulated GPU.

    Args:
        device: the GPU.
    """

    def __init__(self, device: SimDevice) -> None:
        self._device = device

    def load(self, program: Program, bases: Bases, targets: Sequence[tuple[int, int]]) -> SimProgram:
        """Return a straight program."""
        return SimProgram(self._device, GridBinder(program, bases, self._device.infos, targets))

    @contextmanager
    def visit(self, programs: Sequence[Any], arguments: Sequence[Tensor]) -> "Iterator[SimVisit]":
        """Begin a call; others wait until it is done."""
        with self._device.lock:
            staging = Staging(self._device.queue)
            try:
                yield SimVisit(staging, arguments)
            finally:
                staging.close()


class SimVisit:
    """A call under way; arenas are fresh memory each time, which shows reads of what nothing wrote.

    Args:
        staging: the call's memory on the device.
        arguments: the caller's tensors.
    """

    def __init__(self, staging: Staging, arguments: Sequence[Tensor]) -> None:
        self._staging = staging
        self.arguments: Sequence[int] = [staging.argument(kind, value) for kind, value in arguments]

    def result(self, tensor: Tensor, place: ResultPlace) -> int:
        """Return where to write a result."""
        return self._staging.result(*tensor, place)

    def allocate(self, nbytes: int) -> int:
        """Return the address of an arena; 0 for none."""
        return self._staging.allocate(nbytes)

    def free(self, address: int) -> None:
        """Do nothing: an arena lives as long as the call."""

    def run(self, program: Any, bound: Any, addresses: Sequence[int], mode: CallMode) -> None:
        """Run a straight program; raises RuntimeFailure where a kernel found an error."""
        program.run(bound, self._staging, addresses, mode)

    def read(self, address: int) -> int:
        """Return the int64 there."""
        return self._download(address, np.int64)

    def flag(self, address: int) -> bool:
        """Return the bool there."""
        return bool(self._download(address, np.int8))

    def _download(self, address: int, kind: type[np.integer[Any]]) -> int:
        found = np.zeros(1, kind)
        self._staging.queue.download(found, address)
        return int(found[0])

    def copy(self, target: int, source: int, nbytes: int) -> None:
        """Copy bytes on the device."""
        self._staging.queue.copy(target, source, nbytes)

    def finish(self) -> None:
        """Copy the results to the host."""
        self._staging.bring_back()


def _difference(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, int]:
    """Return what was counted between two readings, with the names joined by blanks: "global load bytes"."""
    moved = {
        f"{space} {kind} bytes": count - before["bytes"].get(space, {}).get(kind, 0)
        for space, kinds in after["bytes"].items()
        for kind, count in kinds.items()
    }
    found = {
        f"{name} {part}": count - before[part].get(name, 0)
        for part in ("warps", "threads", "sectors")
        for name, count in after[part].items()
    }
    return {name: count for name, count in (moved | found).items() if count}
