"""The cache on disk: it finds what was put, survives damage, and stays private and bounded."""

import os
import stat
import subprocess
import sys
import threading
import time
import warnings
from pathlib import Path

import pytest

from stepwell.runtime import cache as cache_module
from stepwell.runtime.cache import DiskCache, cache_key
from stepwell.support.errors import CacheError

KEY = cache_key("a kernel")


@pytest.fixture
def cache(tmp_path: Path) -> DiskCache:
    return DiskCache(tmp_path / "deep" / "cache")


def test_put_and_get(cache: DiskCache) -> None:
    assert cache.get(KEY) is None
    cache.put(KEY, {"name": "k0"}, b"\x00code")
    assert cache.get(KEY) == ({"name": "k0"}, b"\x00code")
    assert DiskCache(cache.directory).get(KEY) == ({"name": "k0"}, b"\x00code")
    assert cache.size()[0] == 1
    assert cache.clear() == 1
    assert cache.get(KEY) is None


def test_keys_tell_parts_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    keys = {cache_key("ab", "c"), cache_key("a", "bc"), cache_key("abc"), cache_key("abc", "")}
    assert len(keys) == 4
    assert cache_key(b"ab", "c") in keys
    monkeypatch.setattr(cache_module, "source_hash", lambda: "other sources")
    assert cache_key("abc") not in keys


def test_private(cache: DiskCache) -> None:
    cache.put(KEY, {}, b"")
    for path in cache.directory.rglob("*"):
        assert not stat.S_IMODE(path.stat().st_mode) & 0o077
    cache.directory.chmod(0o755)
    DiskCache(cache.directory)
    assert stat.S_IMODE(cache.directory.stat().st_mode) == 0o700


def test_damage_is_a_miss(cache: DiskCache) -> None:
    cache.put(KEY, {"name": "k0"}, b"code")
    (path,) = [path for path in cache.directory.rglob("*") if path.is_file()]
    whole = path.read_bytes()
    for damaged in (b"", whole[:-1], whole[:20], whole[:-1] + b"x", b"x" + whole, whole.replace(b"k0", b"k1")):
        path.write_bytes(damaged)
        assert cache.get(KEY) is None
        assert not path.exists()
        cache.put(KEY, {"name": "k0"}, b"code")
    assert cache.get(KEY) == ({"name": "k0"}, b"code")


def test_oldest_go_first(tmp_path: Path) -> None:
    cache = DiskCache(tmp_path / "cache", limit=2500)
    keys = [cache_key(str(number)) for number in range(4)]
    for age, key in enumerate(keys):
        cache.put(key, {}, bytes(1000))
        os.utime(cache._path(key), (1000 + age, 1000 + age))
    cache.get(keys[0])
    stale = cache.directory / "tmp-0123"
    stale.touch()
    os.utime(stale, (1000, 1000))
    cache.trim()
    assert [cache.get(key) is not None for key in keys] == [True, False, False, True]
    assert not stale.exists()
    assert cache.size()[1] <= 2500


def test_it_is_listed_now_and_then(tmp_path: Path) -> None:
    key = cache_key("kernel")

    def full(limit: int) -> DiskCache:
        cache = DiskCache(tmp_path / "cache", limit=limit)
        cache.put(key, {}, bytes(1000))
        cache.trim_when_due()
        return cache

    # The first one trims; another one within a minute only where it has written much.
    assert full(500).get(key) is None
    assert full(10).get(key) is None
    DiskCache(tmp_path / "cache", limit=10**6).put(key, {}, bytes(1000))
    small = DiskCache(tmp_path / "cache", limit=500)
    small.trim_when_due()
    assert small.get(key) is not None
    os.utime(small.directory / "trimmed", (1000, 1000))
    small.trim_when_due()
    assert small.get(key) is None


def test_files_that_vanish_while_the_cache_is_trimmed(cache: DiskCache) -> None:
    # A link to nothing is listed and has no status, like a file that another process moves just then.
    (cache.directory / "tmp-gone").symlink_to(cache.directory / "nowhere")
    cache.put(KEY, {}, b"code")
    cache.trim()
    assert cache.get(KEY) == ({}, b"code")


def test_locks(cache: DiskCache) -> None:
    order = []
    with cache.lock(KEY) as held:
        assert held
        with cache.lock(KEY, wait=False) as second:
            assert not second

        def work() -> None:
            with cache.lock(KEY):
                order.append("other")

        thread = threading.Thread(target=work)
        thread.start()
        time.sleep(0.05)
        order.append("first")
    thread.join()
    assert order == ["first", "other"]


def test_directory_that_goes_is_a_warning(cache: DiskCache) -> None:
    cache_module._warn_once.cache_clear()
    cache.directory.rmdir()
    with pytest.warns(RuntimeWarning, match="cannot be written: No such file or directory"), cache.lock(KEY) as held:
        assert held
        cache.put(KEY, {}, b"code")
    assert cache.get(KEY) is None
    cache.trim()


def use_nobody(path: Path) -> None:
    """Give the directory away where we may: root can write anywhere, so that modes alone refuse nothing."""
    os.chown(path, 65534, 65534)


@pytest.mark.skipif(os.getuid() != 0, reason="only root can give a directory away")
def test_other_users_directory_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    use_nobody(tmp_path)
    with pytest.raises(CacheError, match="belongs to another user"):
        DiskCache(tmp_path)
    monkeypatch.setenv("STEPWELL_CACHE_DIR", str(tmp_path))
    with pytest.raises(CacheError, match="belongs to another user"):
        DiskCache.open_default()


def test_unwritable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("STEPWELL_CACHE_DIR", str(tmp_path / "file" / "cache"))
    with pytest.raises(CacheError, match="cannot be written: Not a directory"):
        DiskCache.open_default()
    monkeypatch.delenv("STEPWELL_CACHE_DIR")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    cache_module._warn_once.cache_clear()
    with pytest.warns(RuntimeWarning, match="cannot be written: Not a directory: kernels are compiled anew each time"):
        assert DiskCache.open_default() is None
    # Once is enough.
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert DiskCache.open_default() is None


def test_places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("STEPWELL_CACHE_DIR", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    opened = DiskCache.open_default()
    assert opened is not None
    assert opened.directory == tmp_path / "stepwell"
    monkeypatch.setenv("STEPWELL_CACHE_BYTES", "lots")
    with pytest.raises(CacheError, match="STEPWELL_CACHE_BYTES must be a number of bytes, not 'lots'"):
        DiskCache.open_default()


def test_full_disk_is_a_warning(cache: DiskCache, monkeypatch: pytest.MonkeyPatch) -> None:
    cache_module._warn_once.cache_clear()
    monkeypatch.setattr("os.replace", lambda *paths: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    with pytest.warns(RuntimeWarning, match="No space left on device"):
        cache.put(KEY, {}, b"code")
    assert cache.get(KEY) is None
    assert not list(cache.directory.glob("tmp-*"))


def test_runtime_loads_neither_mlir_nor_torch() -> None:
    code = (
        "import sys, pkgutil, importlib, stepwell.runtime as r\n"
        "for m in pkgutil.walk_packages(r.__path__, 'stepwell.runtime.'): importlib.import_module(m.name)\n"
        "assert not {'mlir', 'torch'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
