"""The simulated device."""

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from stepwell.runtime.simulator.counts import Counts
from stepwell.runtime.simulator.instructions import register_all
from stepwell.runtime.simulator.machine.batch import Batch, Launch
from stepwell.runtime.simulator.machine.fast import FastMachine
from stepwell.runtime.simulator.machine.observers import Observer
from stepwell.runtime.simulator.machine.program import Program
from stepwell.runtime.simulator.memory.global_memory import GlobalMemory
from stepwell.runtime.simulator.ptx.module import Entry, Module
from stepwell.runtime.simulator.ptx.parser import parse
from stepwell.runtime.simulator.traffic import Traffic
from stepwell.support.errors import ArgumentError, SimulationError

MODES = ("fast", "strict")
MAX_THREADS = 1024
_BATCH_THREADS = 16384
"""Threads that run at once: enough to hide the interpreter's cost, few enough for their registers to stay in cache."""

_BATCH_SHARED = 64 << 20


@dataclass
class SimModule:
    """PTX that was loaded: its kernels, and where its variables lie."""

    module: Module
    symbols: dict[str, int]
    programs: dict[str, Program] = field(default_factory=dict)

    def entry(self, name: str) -> Entry:
        """Return a kernel. Raises ArgumentError where there is none of that name."""
        if name not in self.module.entries:
            known = ", ".join(sorted(self.module.entries)) or "none"
            raise ArgumentError(f"the module has no kernel '{name}'; its kernels: {known}")
        return self.module.entries[name]

    def program(self, name: str) -> Program:
        """Return a kernel's decoded code."""
        if name not in self.programs:
            self.programs[name] = Program(self.entry(name))
        return self.programs[name]


class Simulator:
    """A GPU that is not there: memory, and launches of kernels given as PTX.

    Args:
        arch: what it presents itself as, such as "sm_90a".
        mode: "fast" for lockstep and eager copies; "strict" for random order, late copies and a watch for races.
        seed: of the random order.
        traffic: whether to count sectors of global memory and passes over shared memory, which takes time.

    Attributes:
        counters: what was executed and moved so far.
        observers: who watches every launch.
    """

    def __init__(self, arch: str = "sm_90a", mode: str = "fast", seed: int = 0, *, traffic: bool = False) -> None:
        if mode not in MODES:
            raise ArgumentError(f"no such mode of the simulator: '{mode}'; there are: {', '.join(MODES)}")
        register_all()
        self.arch = arch
        self.mode = mode
        self.seed = seed
        self.memory = GlobalMemory(track=mode == "strict")
        self.counters = Counts()
        self.observers: tuple[Observer, ...] = (Traffic(self.counters),) if traffic else ()

    def allocate(self, nbytes: int, align: int = 256) -> int:
        """Reserve bytes of global memory; return their address."""
        return self.memory.allocate(nbytes, align)

    def free(self, address: int) -> None:
        """Give an allocation back: accesses to it are errors from now on."""
        self.memory.free(address)

    def write(self, address: int, data: Any) -> None:
        """Copy bytes, or a contiguous array's, to global memory."""
        source = np.ascontiguousarray(data) if isinstance(data, np.ndarray) else np.frombuffer(data, np.uint8)
        flat = source.reshape(-1).view(np.uint8)
        if flat.size:
            self.memory.view(address, flat.size)[:] = flat
            self.memory.mark(address, flat.size)

    def read(self, address: int, nbytes: int) -> bytes:
        """Return bytes of global memory."""
        return self.memory.view(address, nbytes).tobytes() if nbytes else b""

    def load(self, text: str) -> SimModule:
        """Load PTX. Raises PtxSyntaxError, UnsupportedPtxError."""
        module = parse(text)
        symbols: dict[str, int] = {}
        placed = [one for one in module.variables.values() if one.space in ("global", "const")]
        for variable in placed:
            symbols[variable.name] = self.allocate(max(variable.size, 1), max(variable.align, 16))
        for variable in placed:
            address = symbols[variable.name]
            self.write(address, (variable.data or b"").ljust(variable.size, b"\0"))
            for offset, name, addend in variable.pointers:
                if name not in symbols:
                    raise ArgumentError(
                        f"'{variable.name}' is initialised by the address of '{name}', which is unknown"
                    )
                self.write(address + offset, (symbols[name] + addend).to_bytes(8, "little"))
        return SimModule(module, symbols)

    def launch(
        self,
        module: SimModule,
        entry: str,
        blocks: int,
        threads: int,
        params: bytes,
        shared_bytes: int = 0,
        cluster: int = 1,
        tensor_maps: dict[int, Any] | None = None,
    ) -> None:
        """Run a kernel to its end.

        Args:
            module: where it is.
            entry: its name.
            blocks: of the grid.
            threads: of a block.
            params: the parameter buffer, as ``cuLaunchKernel`` would take it packed.
            shared_bytes: dynamic shared memory of a block.
            cluster: blocks of a cluster.
            tensor_maps: for tensor maps among the parameters, by their byte offset, what they say.

        Raises SimulationError where the kernel does what it must not.
        """
        code = module.entry(entry)
        _check_launch(code, blocks, threads, params, cluster)
        counts = Counts()
        counts.launches[entry] += 1
        launch = Launch(
            code, self.arch, self.memory, module.symbols, blocks, threads, cluster, params, shared_bytes,
            tensor_maps or {}, counts, self.observers,
        )  # fmt: skip
        try:
            self._run(module.program(entry), launch)
        except SimulationError as error:
            error.entry = error.entry or entry
            raise
        self.counters.add(counts)

    def _run(self, program: Program, launch: Launch) -> None:
        if self.mode == "strict":
            from stepwell.runtime.simulator.strict.machine import run_strict

            run_strict(program, launch, self.seed)
            return
        size = _batch_size(launch)
        for first in range(0, launch.blocks, size):
            FastMachine(program, Batch(launch, first, min(size, launch.blocks - first))).run()


def _batch_size(launch: Launch) -> int:
    """Return how many blocks run at once: whole clusters, within bounds on threads and on shared memory."""
    shared = launch.entry.dynamic_offset + launch.shared_bytes + 1024
    blocks = min(_BATCH_THREADS // launch.threads, _BATCH_SHARED // shared, launch.blocks)
    return max(blocks // launch.cluster, 1) * launch.cluster


def _check_launch(entry: Entry, blocks: int, threads: int, params: bytes, cluster: int) -> None:
    """Refuse a launch that the driver would refuse."""
    limit = math.prod(entry.directives.get("maxntid", entry.directives.get("reqntid", (MAX_THREADS,))))
    required = math.prod(entry.directives.get("reqntid", (threads,)))
    problem = ""
    if blocks < 1 or cluster < 1 or blocks % cluster:
        problem = f"{blocks} blocks in clusters of {cluster}"
    elif not 1 <= threads <= min(limit, MAX_THREADS) or threads != required:
        problem = f"{threads} threads a block, where the kernel takes {limit} at most"
    elif len(params) != entry.parameter_bytes:
        problem = f"{len(params)} bytes of parameters, where the kernel takes {entry.parameter_bytes}"
    elif entry.directives.get("reqnctapercluster", (cluster,))[0] != cluster:
        problem = f"clusters of {cluster} blocks, where the kernel takes {entry.directives['reqnctapercluster'][0]}"
    if problem:
        raise ArgumentError(f"kernel '{entry.name}' is launched with {problem}")
