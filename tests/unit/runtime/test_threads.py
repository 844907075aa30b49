"""Which libgomp is used, and what happens without one."""

import ctypes
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from stepwell.runtime import threads
from stepwell.runtime.executable import Executable
from stepwell.runtime.plan import PLAN_VERSION, Launch, Plan, Program


@pytest.fixture
def fresh() -> Any:
    """Forget the library that was found, before and after."""
    caches = (threads.thread_library, threads.thread_functions, threads.max_threads_function)
    for function in caches:
        function.cache_clear()
    yield
    for function in caches:
        function.cache_clear()


def search(monkeypatch: pytest.MonkeyPatch, **found: str) -> None:
    order = tuple((name, lambda path=path: path) for name, path in found.items())
    monkeypatch.setattr(threads, "_SEARCH", order)


def test_first_that_loads_is_taken(fresh: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    broken = tmp_path / "libgomp.so.1"
    broken.write_bytes(b"no library")
    search(monkeypatch, loaded="", torch=str(broken), system="libgomp.so.1")
    assert threads.thread_library() == threads.ThreadLibrary("system", "libgomp.so.1")


def test_torch_shares_its_library(fresh: None) -> None:
    """In a fresh process torch's own library is loaded by path; torch, imported later, uses the same."""
    code = (
        "import sys; from stepwell.runtime.threads import thread_library, max_threads_function\n"
        "found = thread_library(); assert found.source == 'torch', found; assert 'torch' not in sys.modules\n"
        "count = max_threads_function(); import torch; torch.set_num_threads(3); assert count() == 3\n"
        "lines = {l.split()[-1] for l in open('/proc/self/maps') if 'libgomp' in l}; assert len(lines) == 1, lines\n"
        "thread_library.cache_clear(); assert thread_library().source == 'loaded'"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_serial_without_library(fresh: None, monkeypatch: pytest.MonkeyPatch) -> None:
    search(monkeypatch, loaded="", torch="", system="/nowhere/libgomp.so.1")
    with pytest.warns(RuntimeWarning, match="run on one thread"):
        functions = threads.thread_functions()
    integer = ctypes.CFUNCTYPE(ctypes.c_int)
    assert integer(functions["omp_get_max_threads"])() == 1
    assert integer(functions["omp_get_num_threads"])() == 1
    assert integer(functions["omp_get_thread_num"])() == 0
    assert integer(functions["omp_in_parallel"])() == 0
    called = []
    body = ctypes.CFUNCTYPE(None, ctypes.c_void_p)(called.append)
    parallel = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_uint, ctypes.c_uint)
    parallel(functions["GOMP_parallel"])(body, 1234, 0, 0)
    assert called == [1234]
    assert threads.max_threads_function()() == 1


def test_workspace_per_thread(kit: Any, build: Callable[..., Executable]) -> None:
    """Each thread of a kernel has 64 bytes of its own, however many threads the caller sets."""
    count = ctypes.CDLL(threads.thread_library().path).omp_set_num_threads
    before = threads.max_threads_function()()
    launch = Launch("threads", (), (kit.tensor("result", 0, 8),), ())
    signature = kit.Signature((), (kit.result(8),), kit.call_structure(), kit.Structure.leaf(0))
    plan = Plan(
        PLAN_VERSION,
        Program(steps=(launch,), results=(kit.tensor("result", 0, 8),)),
        None,
        {"threads": kit.INFOS["threads"]},
        signature,
    )
    exe = build(plan)
    try:
        for threads_set in (1, 2, 5):
            count(threads_set)
            out = np.zeros(8, np.float32)
            exe(out=out)
            np.testing.assert_array_equal(out[:threads_set], np.arange(1, threads_set + 1))
            assert not out[threads_set:].any()
    finally:
        count(before)
