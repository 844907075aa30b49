"""What code is made for: the machine, and what of it schedules count on."""

import platform
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from stepwell.support.errors import InvalidOptionError

_CPU_VECTOR_BITS = {"x86-64-v3": 256, "x86-64-v4": 512}
# As Linux spells them; all that LLVM may use for the level.
_X86_64_V3_FEATURES = ("avx", "avx2", "bmi1", "bmi2", "f16c", "fma", "abm", "movbe")
_CPU_FEATURES = {
    "x86-64-v3": _X86_64_V3_FEATURES,
    "x86-64-v4": (*_X86_64_V3_FEATURES, "avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl"),
}


@dataclass(frozen=True)
class GpuFacts:
    """What the data sheet of an architecture's usual GPU says.

    Attributes:
        multiprocessors: how many it has.
        threads: threads that a multiprocessor holds.
        blocks: blocks that a multiprocessor holds.
        registers: 32-bit registers of a multiprocessor.
        shared_bytes: shared memory of a multiprocessor.
        shared_limit: shared memory that one block may have.
        bandwidth: bytes per second to and from memory.
    """

    multiprocessors: int
    threads: int
    blocks: int
    registers: int
    shared_bytes: int
    shared_limit: int
    bandwidth: float


# The A100 (80 GB), the H100 (SXM) and the B200; limits per compute capability as in the CUDA programming guide.
_A100 = GpuFacts(108, 2048, 32, 1 << 16, 164 << 10, 163 << 10, 2.04e12)
_H100 = GpuFacts(132, 2048, 32, 1 << 16, 228 << 10, 227 << 10, 3.35e12)
_B200 = GpuFacts(148, 2048, 32, 1 << 16, 228 << 10, 227 << 10, 8.0e12)
_GPUS = {"sm_80": _A100, "sm_90": _H100, "sm_90a": _H100, "sm_100": _B200}


@dataclass(frozen=True)
class GpuCodeFacts:
    """What code for an architecture is written in, and needs.

    Attributes:
        capability: (major, minor) of the compute capability.
        ptx: (major, minor) of the lowest PTX version that knows the architecture and all that templates use there.
        cuda: (major, minor) of the first CUDA release that knows this PTX version; its driver is the least to run on.
        specific: whether it runs on this very architecture only, not on later ones.
        wgmma: whether warp groups multiply matrices from shared memory.
        tma: whether there is a tensor memory accelerator, and clusters of blocks.
    """

    capability: tuple[int, int]
    ptx: tuple[int, int]
    cuda: tuple[int, int]
    specific: bool = False
    wgmma: bool = False
    tma: bool = False

    @property
    def ptx_feature(self) -> str:
        """The PTX version as LLVM names it, such as "ptx80"."""
        return f"ptx{self.ptx[0]}{self.ptx[1]}"


# From the release history in the PTX ISA manual.
_GPU_CODES = {
    "sm_80": GpuCodeFacts((8, 0), (7, 0), (11, 0)),
    "sm_90": GpuCodeFacts((9, 0), (8, 0), (12, 0), tma=True),
    "sm_90a": GpuCodeFacts((9, 0), (8, 0), (12, 0), specific=True, wgmma=True, tma=True),
    "sm_100": GpuCodeFacts((10, 0), (8, 6), (12, 7), tma=True),
}

PORTABLE_GPU = "sm_80"
"""The architecture whose PTX every GPU runs that code is made for, with the oldest driver."""


@dataclass(frozen=True)
class Target:
    """A parsed target.

    Attributes:
        kind: "cpu" or "cuda".
        arch: "x86-64-v3" (AVX2, FMA, F16C), "x86-64-v4" (AVX-512), or "sm_90a" and its kin.
    """

    kind: str
    arch: str

    @classmethod
    def parse(cls, text: str) -> "Target":
        """Parse ``cpu``, ``cpu:x86-64-v3``, ``cuda:sm_90a``, ...; ``cpu`` alone means this machine's best level."""
        kind, _, arch = text.partition(":")
        if kind == "cpu":
            arch = arch or host_level()
            known: tuple[str, ...] = tuple(_CPU_VECTOR_BITS)
        elif kind == "cuda":
            arch = arch or "sm_90a"
            known = tuple(_GPUS)
        else:
            raise InvalidOptionError(f"unknown target '{text}'", fix="use cpu, cpu:x86-64-v3, cuda:sm_90a, ...")
        if arch not in known:
            raise InvalidOptionError(f"unknown architecture '{arch}' in target '{text}'", fix=f"use {', '.join(known)}")
        return cls(kind, arch)

    @staticmethod
    def gpu_architectures() -> tuple[str, ...]:
        """Return the architectures of CUDA targets."""
        return tuple(_GPUS)

    def __str__(self) -> str:
        return f"{self.kind}:{self.arch}"

    @property
    def buffer_alignment(self) -> int:
        """Bytes that tensors which we place in memory lie at multiples of."""
        return 256 if self.kind == "cuda" else 64

    @property
    def vector_bits(self) -> int:
        """Width of a vector register of a CPU target, in bits."""
        return _CPU_VECTOR_BITS[self.arch]

    @property
    def vector_registers(self) -> int:
        """Number of vector registers of a CPU target."""
        return 32 if self.vector_bits == 512 else 16

    @property
    def gpu(self) -> GpuFacts:
        """What is known about the GPU of a CUDA target."""
        return _GPUS[self.arch]

    @property
    def multiprocessors(self) -> int:
        """Number of multiprocessors of a CUDA target."""
        return self.gpu.multiprocessors

    @property
    def code(self) -> GpuCodeFacts:
        """What the code of a CUDA target is written in."""
        return _GPU_CODES[self.arch]


@cache
def host_features() -> frozenset[str]:
    """Return the CPU feature flags of this machine as Linux spells them; empty where they cannot be read."""
    if platform.machine() != "x86_64":
        return frozenset()
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return frozenset()
    flags = next((line for line in lines if line.startswith("flags")), "")
    return frozenset(flags.partition(":")[2].split())


@cache
def host_level() -> str:
    """Return the x86-64 level of this machine: "x86-64-v4" or "x86-64-v3"; raises where it has less."""
    for level in reversed(_CPU_FEATURES):
        if host_features().issuperset(_CPU_FEATURES[level]):
            return level
    raise InvalidOptionError("this machine's CPU has no AVX2, which stepwell's CPU code needs")


def missing_features(target: Target) -> list[str]:
    """Return what code for a CPU target may use and this machine lacks, as Linux spells it."""
    return [feature for feature in _CPU_FEATURES[target.arch] if feature not in host_features()]
