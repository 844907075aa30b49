"""The cache on disk: compiled kernels by the hash of everything they were made from.

``$STEPWELL_CACHE_DIR``, else ``$XDG_CACHE_HOME/stepwell``, else ``~/.cache/stepwell``; private to the user, since what
it holds is run as code.  Entries are written to a temporary name and renamed, and checked by hash when read: a damaged
one counts as missing.  A lock per key lets two processes that want the same kernel compile it once.  Beyond
``$STEPWELL_CACHE_BYTES`` (2 GiB) the entries used longest ago go.
"""

import contextlib
import fcntl
import hashlib
import json
import math
import os
import secrets
import stat
import struct
import time
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import stepwell
from stepwell.support.errors import CacheError

_MAGIC = b"stepwell-cache-1\n"
_DEFAULT_BYTES = 2 << 30
_DIGEST = 32
# A writer that died leaves its temporary file; one this old has no writer.
_STALE_SECONDS = 3600
# How often the cache is listed to see whether it is too large, or after how much of the limit one object has written.
_TRIM_SECONDS = 60
_TRIM_SHARE = 1 / 16


def cache_directory() -> tuple[Path, bool]:
    """Return where the cache is, and whether the user named that place."""
    named = os.environ.get("STEPWELL_CACHE_DIR")
    if named:
        return Path(named), True
    base = os.environ.get("XDG_CACHE_HOME")
    return Path(base if base else Path.home() / ".cache") / "stepwell", False


def cache_key(*parts: bytes | str) -> str:
    """Return the key of something made from ``parts`` by these very sources of stepwell."""
    digest = hashlib.sha256()
    for part in (source_hash(), *parts):
        data = part.encode() if isinstance(part, str) else part
        # Lengths keep ("ab", "c") and ("a", "bc") apart.
        digest.update(struct.pack("<Q", len(data)) + data)
    return digest.hexdigest()


@cache
def source_hash() -> str:
    """Return a hash of stepwell's own Python files and tables."""
    root = Path(stepwell.__file__).parent
    digest = hashlib.sha256()
    for path in sorted(root.rglob("*")):
        if path.suffix in (".py", ".json", ".txt") and path.is_file():
            data = path.read_bytes()
            digest.update(f"{path.relative_to(root)} {len(data)}\n".encode() + data)
    return digest.hexdigest()


class DiskCache:
    """A directory of entries: a JSON header and raw bytes under each key.

    Args:
        directory: where it is; made with mode 0700 where missing.
        limit: how many bytes ``trim`` leaves.

    Raises:
        CacheError: the directory cannot be made or written, or belongs to another user.
    """

    def __init__(self, directory: Path, limit: int = _DEFAULT_BYTES) -> None:
        self.directory = directory
        self._limit = limit
        self._written = 0
        try:
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            status = directory.stat()
            if status.st_uid != os.getuid():
                raise CacheError(f"the cache directory {directory} belongs to another user", fix=_FIX)
            if stat.S_IMODE(status.st_mode) & 0o077:
                directory.chmod(0o700)
            probe = directory / f"tmp-{secrets.token_hex(8)}"
            probe.touch(mode=0o600)
            probe.unlink()
        except OSError as error:
            raise CacheError(
                f"the cache directory {directory} cannot be written: {error.strerror}", fix=_FIX
            ) from error

    @classmethod
    def open_default(cls) -> "DiskCache | None":
        """Return the user's cache, or None, with a warning, where the usual place cannot be used.

        Raises:
            CacheError: the user named a place that cannot be used, or a size that is no number.
        """
        directory, named = cache_directory()
        text = os.environ.get("STEPWELL_CACHE_BYTES", str(_DEFAULT_BYTES))
        if not text.isdigit():
            raise CacheError(f"STEPWELL_CACHE_BYTES must be a number of bytes, not '{text}'")
        try:
            return cls(directory, int(text))
        except CacheError as error:
            if named:
                raise
            _warn_once(f"{error.message}: kernels are compiled anew each time")
            return None

    def get(self, key: str) -> tuple[dict[str, Any], bytes] | None:
        """Return an entry, or None where it is missing or damaged."""
        path = self._path(key)
        try:
            data = path.read_bytes()
            # The time of the last use decides what goes first.
            os.utime(path)
        except OSError:
            return None
        start = len(_MAGIC) + _DIGEST
        if data[: len(_MAGIC)] != _MAGIC or hashlib.sha256(data[start:]).digest() != data[len(_MAGIC) : start]:
            path.unlink(missing_ok=True)
            return None
        (size,) = struct.unpack_from("<I", data, start)
        return json.loads(data[start + 4 : start + 4 + size]), data[start + 4 + size :]

    def put(self, key: str, header: dict[str, Any], body: bytes) -> None:
        """Write an entry; one that cannot be written (a full disk) is left out with a warning."""
        path = self._path(key)
        text = json.dumps(header).encode()
        data = struct.pack("<I", len(text)) + text + body
        temporary = self.directory / f"tmp-{secrets.token_hex(8)}"
        try:
            path.parent.mkdir(mode=0o700, exist_ok=True)
            with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
                file.write(_MAGIC + hashlib.sha256(data).digest() + data)
            # What a crash leaves unwritten, the digest tells.
            temporary.replace(path)
            self._written += len(data)
        except OSError as error:
            _warn_once(f"the cache directory {self.directory} cannot be written: {error.strerror}")
        finally:
            temporary.unlink(missing_ok=True)

    @contextmanager
    def lock(self, key: str, *, wait: bool = True) -> Iterator[bool]:
        """Hold the lock of ``key`` against other processes and threads.

        Yields:
            whether it is held; False where another has it and ``wait`` is not set.  Where there can be no lock, since
            the directory has gone or the disk is full, work goes on without one.
        """
        directory = self.directory / "locks"
        try:
            directory.mkdir(mode=0o700, exist_ok=True)
            # Few files serve all keys; two keys that share one only wait for each other.
            descriptor = os.open(directory / key[:3], os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            _warn_once(f"the cache directory {self.directory} cannot be written: {error.strerror}")
            yield True
            return
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
            except BlockingIOError:
                yield False
                return
            yield True
        finally:
            os.close(descriptor)

    def size(self) -> tuple[int, int]:
        """Return the number of entries and their bytes."""
        sizes = [status.st_size for _, status in self._entries()]
        return len(sizes), sum(sizes)

    def trim_when_due(self) -> None:
        """Trim, unless somebody has within the last minute and this object has written little since.

        To list a large cache takes longer than to compile a small program.
        """
        marker = self.directory / "trimmed"
        try:
            age = time.time() - marker.stat().st_mtime
        except OSError:
            age = math.inf
        if age < _TRIM_SECONDS and self._written < self._limit * _TRIM_SHARE:
            return
        # An error of the directory's is said where something is written next.
        with contextlib.suppress(OSError):
            marker.touch(mode=0o600)
        self._written = 0
        self.trim()

    def trim(self) -> None:
        """Remove the entries used longest ago until the rest fits the limit."""
        entries = sorted(self._entries(), key=lambda entry: entry[1].st_mtime)
        excess = sum(status.st_size for _, status in entries) - self._limit
        for path, status in entries:
            if excess <= 0:
                break
            path.unlink(missing_ok=True)
            excess -= status.st_size
        for path, status in _with_status(self.directory.glob("tmp-*")):
            if status.st_mtime < time.time() - _STALE_SECONDS:
                path.unlink(missing_ok=True)

    def clear(self) -> int:
        """Remove all entries; return how many there were."""
        entries = list(self._entries())
        for path, _ in entries:
            path.unlink(missing_ok=True)
        return len(entries)

    def _path(self, key: str) -> Path:
        return self.directory / key[:2] / key[2:]

    def _entries(self) -> Iterator[tuple[Path, os.stat_result]]:
        return _with_status(self.directory.glob("[0-9a-f][0-9a-f]/*"))


def _with_status(paths: Iterable[Path]) -> Iterator[tuple[Path, os.stat_result]]:
    """Yield each path with its status; one that another process has just moved or removed is left out."""
    for path in paths:
        try:
            yield path, path.stat()
        except OSError:
            continue


_FIX = "set STEPWELL_CACHE_DIR to a directory of your own that can be written"


@cache
def _warn_once(message: str) -> None:
    warnings.warn(message, RuntimeWarning, stacklevel=3)
