"""Artifacts: they run where neither compiler nor torch can be imported, and anything damaged is refused."""

import json
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from stepwell.runtime.archive import Archive, write_archive
from stepwell.runtime.artifact import load
from stepwell.runtime.executable import Executable
from stepwell.support import target as target_module
from stepwell.support.errors import ArtifactError, InvalidOptionError, StepwellError

Build = Callable[..., Executable]

ONES = np.ones(4, np.float32)

# Blocks both imports, then loads and calls.
ALONE = """
import sys
class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.partition('.')[0] in ('mlir', 'torch', 'llvm'):
            raise ImportError(f'{name} is blocked')
sys.meta_path.insert(0, Blocker())
import numpy as np
from stepwell.runtime.artifact import load
exe = load(sys.argv[1])
out = exe(np.ones(4, np.float32))
assert out['y'].tolist() == [3.0, 5.0, 7.0, 9.0], out
assert out['count'].tolist() == [3.0] * 4, out
assert not any(name.partition('.')[0] in ('mlir', 'torch', 'llvm') for name in sys.modules)
"""


@pytest.fixture
def saved(kit: Any, build: Build, tmp_path: Path) -> Path:
    """An artifact of the counting program, after two calls."""
    exe = build(kit.buffer_plan(), w=np.arange(1, 5, dtype=np.float32), step=ONES, count=0 * ONES)
    exe(ONES)
    exe(ONES)
    path = tmp_path / "model.swx"
    exe.save(path)
    return path


def test_runs_alone(saved: Path) -> None:
    subprocess.run([sys.executable, "-c", ALONE, str(saved)], check=True)


def test_loaded_is_the_same(saved: Path) -> None:
    exe = load(saved, device="cpu")
    assert exe.state_dict()["count"].tolist() == [2] * 4
    assert exe(ONES)["count"].tolist() == [3] * 4
    # The file is as it was: changed buffers are copies.
    assert load(saved)(ONES)["count"].tolist() == [3] * 4
    with pytest.raises(StepwellError, match="neither IR nor a compiler"):
        exe.asm("add")
    again = saved.with_name("again.swx")
    load(saved).save(again)
    assert again.read_bytes() == saved.read_bytes()


def test_members_are_aligned_and_mapped(saved: Path) -> None:
    archive = Archive(saved)
    constants = [name for name in archive.names if name.startswith("constants/")]
    assert len(constants) == 3
    for name in archive.names:
        array = np.frombuffer(archive.member(name), np.uint8)
        assert array.__array_interface__["data"][0] % 64 == 0
    assert zipfile.ZipFile(saved).testzip() is None
    exe = load(saved)
    assert not exe.session.constants.array("w").flags.owndata
    assert not exe.session.constants.array("w").flags.writeable


def members(path: Path) -> dict[str, bytes]:
    archive = Archive(path)
    # In the order of the file, which the manifest leads.
    return {name: bytes(archive.member(name)) for name in sorted(archive.names)}


def rewrite(path: Path, **changes: Any) -> None:
    """Write the artifact again with other manifest fields."""
    parts = members(path)
    manifest = json.loads(parts["manifest.json"])
    for name, value in changes.items():
        manifest[name] = value(manifest[name]) if callable(value) else value
    parts["manifest.json"] = json.dumps(manifest).encode()
    write_archive(path, parts)


@pytest.mark.parametrize("member", ["artifact", "plan", "abi"])
def test_newer_is_refused(saved: Path, member: str) -> None:
    rewrite(saved, versions=lambda versions: versions | {member: 99}, stepwell="9.9")
    with pytest.raises(
        ArtifactError, match=f"written by newer stepwell 9.9: its {member} version is 99, this one reads"
    ):
        load(saved)


def test_other_machines_are_refused(saved: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InvalidOptionError, match="made for cpu:x86-64-v3 and cannot run on device 'cuda'"):
        load(saved, device="cuda")
    monkeypatch.setattr(target_module, "host_features", lambda: frozenset({"avx"}))
    with pytest.raises(ArtifactError, match=r"made for cpu:x86-64-v3, and this machine's CPU lacks avx2, bmi1"):
        load(saved)


def test_damage_is_refused(saved: Path) -> None:
    whole = saved.read_bytes()
    for end in (0, 10, 1000, len(whole) // 2, len(whole) - 1):
        saved.write_bytes(whole[:end])
        with pytest.raises(ArtifactError, match="is not a stepwell artifact, or is damaged"):
            load(saved)
    for name, data in ((name, data) for name, data in members_of(whole, saved).items() if name != "manifest.json"):
        at = whole.index(data)
        saved.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
        with pytest.raises(ArtifactError, match=f"the hash of {name} differs"):
            load(saved)


def members_of(whole: bytes, path: Path) -> dict[str, bytes]:
    path.write_bytes(whole)
    return members(path)


def test_foreign_files_are_refused(saved: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    with pytest.raises(ArtifactError, match="cannot be read: No such file"):
        load(other)
    other.write_text("no zip")
    with pytest.raises(ArtifactError, match="is not a stepwell artifact, or is damaged: File is not a zip file"):
        load(other)
    write_archive(other, {"a": b"b"})
    with pytest.raises(ArtifactError, match=r"it has no manifest\.json"):
        load(other)
    write_archive(other, {"manifest.json": b'{"magic": "other"}'})
    with pytest.raises(ArtifactError, match="its manifest is another program's"):
        load(other)
    write_archive(other, {"manifest.json": b"{"})
    with pytest.raises(ArtifactError, match="is damaged"):
        load(other)
    with zipfile.ZipFile(other, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("manifest.json", "{}" * 100)
    with pytest.raises(ArtifactError, match=r"member 'manifest\.json' is compressed"):
        load(other)
    write_archive(saved, members(saved) | {"extra": b""})
    with pytest.raises(ArtifactError, match="members extra are missing or unknown"):
        load(saved)


def test_failed_save_leaves_the_old_file(saved: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = saved.read_bytes()
    exe = load(saved)
    monkeypatch.setattr("os.fsync", lambda descriptor: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    with pytest.raises(ArtifactError, match="No space left"):
        exe.save(saved)
    assert saved.read_bytes() == before
    assert [path.name for path in saved.parent.iterdir()] == [saved.name]
