"""The code of one kernel for GPUs: its PTX, machine code per architecture, and what ptxas said about it.

As bytes it is a JSON header behind its length, then the machine code, all in one piece: what compilations return, the
cache keeps and artifacts hold.
"""

import json
import struct
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from stepwell.support.errors import ArtifactError

_MAGIC = b"stepwell-gpu-1\n"
_LENGTH = struct.Struct("<Q")


@dataclass(frozen=True)
class EntryReport:
    """What ptxas said about one entry.

    Attributes:
        registers: 32-bit registers of a thread.
        spill_stores, spill_loads: bytes of registers that did not fit and went to memory.
        stack: bytes of stack of a thread.
        shared_bytes: shared memory of a block that is not dynamic.
        barriers: named barriers in use.
    """

    registers: int
    spill_stores: int = 0
    spill_loads: int = 0
    stack: int = 0
    shared_bytes: int = 0
    barriers: int = 0

    @property
    def spills(self) -> bool:
        """Whether registers did not suffice."""
        return self.spill_stores > 0 or self.spill_loads > 0


@dataclass(frozen=True)
class PtxasReport:
    """What ptxas said about a kernel.

    Attributes:
        arch: the architecture it assembled for.
        version: of ptxas, as "13.0.88".
        entries: by name.
        warnings: lines of warnings and advice, such as that of serialized wgmma.
    """

    arch: str
    version: str
    entries: Mapping[str, EntryReport] = field(default_factory=dict, hash=False)
    warnings: tuple[str, ...] = ()

    @property
    def clean(self) -> bool:
        """Whether nothing spills and ptxas had no complaint."""
        return not self.warnings and not any(entry.spills for entry in self.entries.values())


@dataclass(frozen=True)
class GpuCode:
    """The code of one kernel.

    Attributes:
        arch: the architecture that the PTX was written for.
        ptx: its text.
        cubins: machine code by architecture; empty where there was no ptxas.
        reports: what ptxas said, by architecture.
        choice: which of the schedule's candidates it is.
    """

    arch: str
    ptx: str
    cubins: Mapping[str, bytes] = field(default_factory=dict, hash=False)
    reports: Mapping[str, PtxasReport] = field(default_factory=dict, hash=False)
    choice: int = 0

    def to_bytes(self) -> bytes:
        """Return it as one piece; equal code gives equal bytes."""
        order = sorted(self.cubins)
        header = {
            "arch": self.arch,
            "ptx": self.ptx,
            "choice": self.choice,
            "cubins": [[arch, len(self.cubins[arch])] for arch in order],
            "reports": {arch: asdict(report) for arch, report in sorted(self.reports.items())},
        }
        text = json.dumps(header, sort_keys=True).encode()
        return b"".join([_MAGIC, _LENGTH.pack(len(text)), text, *(self.cubins[arch] for arch in order)])

    @classmethod
    def from_bytes(cls, data: bytes) -> "GpuCode":
        """Read what ``to_bytes`` wrote; raises ArtifactError for anything else."""
        start = len(_MAGIC) + _LENGTH.size
        if data[: len(_MAGIC)] != _MAGIC or len(data) < start:
            raise ArtifactError("a kernel's code is no GPU code of this version of stepwell")
        (length,) = _LENGTH.unpack(data[len(_MAGIC) : start])
        try:
            header = json.loads(data[start : start + length])
            return cls(
                header["arch"],
                header["ptx"],
                _cut(data, start + length, header["cubins"]),
                {arch: _report(report) for arch, report in header["reports"].items()},
                header["choice"],
            )
        except (ValueError, KeyError, TypeError) as error:
            raise ArtifactError(f"a kernel's GPU code is damaged: {error}") from error


def read_codes(code: Mapping[str, bytes], names: Iterable[str]) -> dict[str, GpuCode]:
    """Return the code of the kernels ``names``; raises ArtifactError where it is missing or damaged."""
    lacking = sorted(set(names) - set(code))
    if lacking:
        raise ArtifactError(f"there is no code for kernels {', '.join(lacking)}")
    return {name: GpuCode.from_bytes(code[name]) for name in names}


def _cut(data: bytes, start: int, sizes: list[Any]) -> dict[str, bytes]:
    cubins = {}
    for arch, size in sizes:
        cubins[arch] = data[start : start + size]
        start += size
    if start != len(data):
        raise ValueError("its length is wrong")
    return cubins


def _report(data: dict[str, Any]) -> PtxasReport:
    entries = {name: EntryReport(**entry) for name, entry in data["entries"].items()}
    return PtxasReport(data["arch"], data["version"], entries, tuple(data["warnings"]))
