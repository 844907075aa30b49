"""Artifacts: a compiled program in one file.

A stored (not compressed) zip whose members start at multiples of 64 bytes, so that constants are used where the file is
mapped:

    manifest.json           what this is, three version numbers, the parts, and SHA-256 and size of every other member
    ARCH/plan.json          the plan of the part for one target
    ARCH/kernels/NAME       its machine code: an object file, or ``GpuCode``
    constants/NUMBER        raw elements, row-major; dtype, shape and name stand in the manifest

A part is the program compiled for one target; all share the constants.  For GPUs the manifest says which driver
versions each part's code needs, and the PTX and ptxas versions that it comes from.

Rules: ``artifact`` (this layout), ``plan`` (``plan.PLAN_VERSION``) and ``abi`` (``plan.ABI_VERSION``) must each equal
this stepwell's own number; fields that a reader does not know are ignored, so that additions need no new number.
Loading runs native code: load only what you would run.  The hashes find damage, not malice.
"""

import hashlib
import json
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

import stepwell
from stepwell.runtime.archive import Archive, write_archive
from stepwell.runtime.parts import Part, choose_part
from stepwell.runtime.plan import ABI_VERSION, PLAN_VERSION, Plan
from stepwell.runtime.tensors import Array, as_array
from stepwell.support.dtypes import DType
from stepwell.support.errors import ArtifactError, StepwellError
from stepwell.support.target import Target

if TYPE_CHECKING:
    from stepwell.runtime.executable import Executable

__all__ = ["load", "save_artifact"]

_MAGIC = "stepwell-artifact"
_ARTIFACT_VERSION = 2
_VERSIONS = {"artifact": _ARTIFACT_VERSION, "plan": PLAN_VERSION, "abi": ABI_VERSION}


def save_artifact(parts: Sequence[Part], path: Path) -> None:
    """Write the parts of one program; a file already there is replaced whole or not at all.

    Raises:
        ArtifactError: the parts are not of one program, or the file cannot be written.
    """
    members: dict[str, bytes | Array] = {}
    listed = []
    for part in parts:
        folder = part.target.arch
        if f"{folder}/plan.json" in members:
            raise ArtifactError(f"there are two parts for {part.target}")
        members[f"{folder}/plan.json"] = _json(part.plan.to_json())
        members |= {f"{folder}/kernels/{name}": code for name, code in part.kernels.items()}
        listed.append({"target": str(part.target), "folder": folder, **part.requirements()})
    constants = {}
    for number, (name, array) in enumerate(_constants(parts).items()):
        member = f"constants/{number}"
        members[member] = array
        dtype = DType.from_numpy(array.dtype).label
        constants[name] = {"member": member, "dtype": dtype, "shape": list(array.shape)}
    manifest = {
        "magic": _MAGIC,
        "versions": _VERSIONS,
        "stepwell": stepwell.__version__,
        "parts": listed,
        "constants": constants,
        "members": {
            name: {"sha256": hashlib.sha256(_memory(data)).hexdigest(), "size": len(_memory(data))}
            for name, data in members.items()
        },
    }
    write_archive(path, {"manifest.json": _json(manifest), **{name: _memory(data) for name, data in members.items()}})


def _constants(parts: Sequence[Part]) -> dict[str, Array]:
    """Return the tensors that any part needs; the first part's are the state to keep."""
    first = parts[0].plan.signature
    passed = {number for number, _ in first.inputs.paths()}
    found: dict[str, Array] = {}
    for part in parts:
        signature = part.plan.signature
        if (signature.inputs, signature.outputs) != (first.inputs, first.outputs):
            raise ArtifactError(f"the parts for {parts[0].target} and {part.target} are not of one program")
        for number, spec in enumerate(signature.arguments):
            if number in passed:
                continue
            array = as_array(part.constants[spec.name], spec.name)
            known = found.setdefault(spec.name, array)
            if (known.dtype, known.shape) != (array.dtype, array.shape):
                raise ArtifactError(f"{spec.kind} '{spec.name}' differs between {parts[0].target} and {part.target}")
    return found


def load(path: str | Path, *, device: str | None = None, cuda_graphs: bool = False) -> "Executable":
    """Load an artifact.

    Args:
        path: a file that ``Executable.save`` wrote.
        device: "cpu", "cuda" (or "cuda:1", ...), "sim" (a simulated GPU, for any code for GPUs), or None for the device
            it was compiled for.  Of several parts for GPUs the one is taken that fits this machine's best: machine code
            for the very architecture, then for an older one of its kind, then PTX that the driver compiles.
        cuda_graphs: on a GPU, launch each set of shapes as one CUDA graph from its second call on.

    Raises:
        ArtifactError: the file is foreign, damaged, newer, or made for another machine; none of its code has run.
        InvalidOptionError: the artifact is not for this device.
        DeviceError: there is no GPU, or none that its code runs on.
    """
    from stepwell.runtime.executable import Executable

    path = Path(path)
    try:
        archive = Archive(path)
        manifest = _read_manifest(archive, path)
        _check_members(archive, manifest, path)
        constants = {name: _constant(archive, entry) for name, entry in manifest["constants"].items()}
        parts = [_part(archive, entry, constants, path) for entry in manifest["parts"]]
        part, chosen = choose_part(parts, device)
    except StepwellError:
        raise
    except OSError as error:
        raise ArtifactError(f"{path} cannot be read: {error.strerror or error}") from error
    except (zipfile.BadZipFile, KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
        raise ArtifactError(f"{path} is not a stepwell artifact, or is damaged: {error}") from error
    return Executable(
        part.plan,
        part.kernels,
        constants,
        target=part.target,
        device=chosen,
        copy=False,
        cuda_graphs=cuda_graphs,
        parts=parts,
    )


def _part(archive: Archive, entry: Mapping[str, Any], constants: Mapping[str, Array], path: Path) -> Part:
    folder = entry["folder"]
    plan = Plan.from_json(_parse(archive.member(f"{folder}/plan.json"), path))
    kernels = {name: bytes(archive.member(f"{folder}/kernels/{name}")) for name in plan.kernels}
    return Part(Target.parse(entry["target"]), plan, kernels, constants)


def _json(data: Any) -> bytes:
    return json.dumps(data, separators=(",", ":"), sort_keys=True).encode()


def _memory(data: "bytes | Array") -> memoryview:
    if isinstance(data, bytes):
        return memoryview(data)
    return np.ascontiguousarray(data).reshape(-1).view(np.uint8).data


def _parse(data: memoryview, path: Path) -> Any:
    try:
        return json.loads(bytes(data))
    except ValueError as error:
        raise ArtifactError(f"{path} is damaged: {error}") from error


def _read_manifest(archive: Archive, path: Path) -> Mapping[str, Any]:
    if "manifest.json" not in archive.names:
        raise ArtifactError(f"{path} is not a stepwell artifact: it has no manifest.json")
    manifest = _parse(archive.member("manifest.json"), path)
    if not isinstance(manifest, dict) or manifest.get("magic") != _MAGIC:
        raise ArtifactError(f"{path} is not a stepwell artifact: its manifest is another program's")
    for name, own in _VERSIONS.items():
        found = manifest["versions"].get(name)
        if found != own:
            age = "newer" if isinstance(found, int) and found > own else "other"
            raise ArtifactError(
                f"{path} was written by {age} stepwell {manifest.get('stepwell', 'unknown')}: its {name} version is "
                f"{found}, this one reads {own}",
                fix="load it with that version, or compile the program again",
            )
    return manifest


def _check_members(archive: Archive, manifest: Mapping[str, Any], path: Path) -> None:
    expected = {"manifest.json", *manifest["members"]}
    if expected != set(archive.names):
        different = sorted(expected.symmetric_difference(archive.names))
        raise ArtifactError(f"{path} is damaged: members {', '.join(different)} are missing or unknown")
    for name, entry in manifest["members"].items():
        data = archive.member(name)
        if len(data) != entry["size"] or hashlib.sha256(data).hexdigest() != entry["sha256"]:
            raise ArtifactError(f"{path} is damaged: the hash of {name} differs")


def _constant(archive: Archive, entry: Mapping[str, Any]) -> Array:
    dtype = DType.from_name(entry["dtype"])
    return np.frombuffer(archive.member(entry["member"]), dtype.numpy).reshape(entry["shape"])
