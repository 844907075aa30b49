"""Artifacts: a compiled program in one file.

A stored (not compressed) zip whose members start at multiples of 64 bytes, so that constants are used where the file is
mapped:

    manifest.json       what this is, three version numbers, target, and SHA-256 and size of every other member
    plan.json           the plan
    kernels/NAME.o      machine code
    constants/NUMBER    raw elements, row-major; dtype, shape and name stand in the manifest

Rules: ``artifact`` (this layout), ``plan`` (``plan.PLAN_VERSION``) and ``abi`` (``plan.ABI_VERSION``) must each equal
this stepwell's own number; fields that a reader does not know are ignored, so that additions need no new number.
Loading runs native code: load only what you would run.  The hashes find damage, not malice.
"""

import hashlib
import json
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

import stepwell
from stepwell.runtime.archive import Archive, write_archive
from stepwell.runtime.plan import ABI_VERSION, PLAN_VERSION, Plan
from stepwell.runtime.tensors import Array
from stepwell.support.dtypes import DType
from stepwell.support.errors import ArtifactError, InvalidOptionError, StepwellError
from stepwell.support.target import Target

if TYPE_CHECKING:
    from stepwell.runtime.executable import Executable

__all__ = ["load", "save_artifact"]

_MAGIC = "stepwell-artifact"
_ARTIFACT_VERSION = 1
_VERSIONS = {"artifact": _ARTIFACT_VERSION, "plan": PLAN_VERSION, "abi": ABI_VERSION}


def save_artifact(executable: "Executable", path: Path) -> None:
    """Write ``executable`` to ``path``; a file already there is replaced whole or not at all."""
    plan = executable.plan
    members: dict[str, bytes | Array] = {"plan.json": _json(plan.to_json())}
    for name, code in executable.kernels.items():
        members[f"kernels/{name}.o"] = code
    constants = {}
    for number, name in enumerate(executable.session.constants.names):
        array = executable.session.constants.array(name)
        member = f"constants/{number}"
        members[member] = array
        dtype = DType.from_numpy(array.dtype).label
        constants[name] = {"member": member, "dtype": dtype, "shape": list(array.shape)}
    manifest = {
        "magic": _MAGIC,
        "versions": _VERSIONS,
        "stepwell": stepwell.__version__,
        "target": str(executable.target),
        "constants": constants,
        "members": {
            name: {"sha256": hashlib.sha256(_memory(data)).hexdigest(), "size": len(_memory(data))}
            for name, data in members.items()
        },
    }
    write_archive(path, {"manifest.json": _json(manifest), **{name: _memory(data) for name, data in members.items()}})


def load(path: str | Path, *, device: str | None = None) -> "Executable":
    """Load an artifact.

    Args:
        path: a file that ``Executable.save`` wrote.
        device: "cpu", or None for the device it was compiled for.

    Raises:
        ArtifactError: the file is foreign, damaged, newer, or made for another machine; none of its code has run.
        InvalidOptionError: the artifact is not for this device.
    """
    from stepwell.runtime.executable import Executable

    path = Path(path)
    try:
        archive = Archive(path)
        manifest = _read_manifest(archive, path)
        target = _check_target(manifest, device)
        _check_members(archive, manifest, path)
        plan = Plan.from_json(_parse(archive.member("plan.json"), path))
        kernels = {name: bytes(archive.member(f"kernels/{name}.o")) for name in plan.kernels}
        constants = {name: _constant(archive, entry) for name, entry in manifest["constants"].items()}
    except StepwellError:
        raise
    except OSError as error:
        raise ArtifactError(f"{path} cannot be read: {error.strerror or error}") from error
    except (zipfile.BadZipFile, KeyError, TypeError, ValueError, AttributeError) as error:
        raise ArtifactError(f"{path} is not a stepwell artifact, or is damaged: {error}") from error
    return Executable(plan, kernels, constants, target=target, copy=False)


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


def _check_target(manifest: Mapping[str, Any], device: str | None) -> Target:
    target = Target.parse(manifest["target"])
    if device is not None and device != target.kind:
        raise InvalidOptionError(f"the artifact is made for {target} and cannot run on device '{device}'")
    return target


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
