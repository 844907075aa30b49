"""Zip files with aligned, uncompressed members, written at once and read in place."""

import contextlib
import mmap
import os
import secrets
import struct
import zipfile
from collections.abc import Mapping
from pathlib import Path

from stepwell.support.errors import ArtifactError

ALIGNMENT = 64
_LOCAL_HEADER = 30
# Extra fields are (id, length, bytes); this id is what zipalign uses for padding.
_PADDING_ID = 0xD935
# zipfile writes a zip64 field of this size in front of ours for members near or above 2 GiB.
_ZIP64_FIELD = 20
_ZIP64_LIMIT = (1 << 31) - 1
_DATE = (1980, 1, 1, 0, 0, 0)


def write_archive(path: Path, members: Mapping[str, memoryview | bytes]) -> None:
    """Write a zip whose members start at multiples of 64 bytes.  Equal members give equal files."""
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        with temporary.open("xb") as file:
            with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
                for name, data in members.items():
                    archive.writestr(_entry(name, len(data), file.tell()), data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        raise ArtifactError(
            f"{path} cannot be written: {error.strerror or error}", fix="name a file in a directory that can be written"
        ) from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink()


def _entry(name: str, size: int, position: int) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(name, _DATE)
    entry.external_attr = 0o644 << 16
    zip64 = _ZIP64_FIELD if size * 1.05 > _ZIP64_LIMIT else 0
    start = position + _LOCAL_HEADER + len(name.encode()) + zip64 + 4
    padding = -start % ALIGNMENT
    entry.extra = struct.pack("<HH", _PADDING_ID, padding) + bytes(padding)
    return entry


class Archive:
    """A mapped zip file.  Views of members stay valid after it is closed: they hold the mapping.

    Raises:
        OSError: the file cannot be opened.
        zipfile.BadZipFile: it is no zip file, or is cut short.
        ArtifactError: it holds what ``write_archive`` does not write.
    """

    def __init__(self, path: Path) -> None:
        with path.open("rb") as file:
            self._map = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
            with zipfile.ZipFile(file) as archive:
                entries = archive.infolist()
        self._members = {entry.filename: self._locate(entry) for entry in entries}
        if len(self._members) != len(entries):
            raise ArtifactError(f"{path} has two members of one name")

    def _locate(self, entry: zipfile.ZipInfo) -> memoryview:
        if entry.compress_type != zipfile.ZIP_STORED or entry.file_size != entry.compress_size:
            raise ArtifactError(f"member '{entry.filename}' is compressed, which a stepwell artifact never is")
        header = self._map[entry.header_offset : entry.header_offset + _LOCAL_HEADER]
        if len(header) < _LOCAL_HEADER or bytes(header[:4]) != b"PK\x03\x04":
            raise zipfile.BadZipFile(f"member '{entry.filename}' has no header")
        name, extra = struct.unpack_from("<HH", header, 26)
        start = entry.header_offset + _LOCAL_HEADER + name + extra
        data = self._map[start : start + entry.file_size]
        if len(data) != entry.file_size:
            raise zipfile.BadZipFile(f"member '{entry.filename}' is cut short")
        return data

    @property
    def names(self) -> frozenset[str]:
        """Names of the members."""
        return frozenset(self._members)

    def member(self, name: str) -> memoryview:
        """Return the bytes of a member; raises KeyError."""
        return self._members[name]
