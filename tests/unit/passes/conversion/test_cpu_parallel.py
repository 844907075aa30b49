"""Parallel loops as threads run them: every iteration once, in contiguous parts, each with its own workspace."""

import ctypes
import threading
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from stepwell.runtime.threads import thread_library

HEADER = "%out: memref<i64>, %size: i64, %workspace: memref<i8>, %status: memref<i32>"
VIEW = """
  %n = arith.index_cast %size : i64 to index
  %m = memref.reinterpret_cast %out to offset: [0], sizes: [%n], strides: [1] : memref<i64> to memref<?xi64>
"""

# Each iteration stores where its workspace is.
WORKSPACES = f"""
func.func @k0({HEADER}) attributes {{stepwell.workspace = 64 : i64}} {{
  {VIEW}
  scf.forall (%i) in (%n) {{
    %p = memref.extract_aligned_pointer_as_index %workspace : memref<i8> -> index
    %v = arith.index_cast %p : index to i64
    memref.store %v, %m[%i] : memref<?xi64>
  }} {{stepwell.grain = 10 : i64}}
  return
}}"""

# Two loops with code between; values that must be handed over: a loaded number and an allocated buffer.
TWO_LOOPS = f"""
func.func @k0({HEADER}) {{
  {VIEW}
  %c0 = arith.constant 0 : index
  %c7 = arith.constant 7 : index
  %two = arith.constant 2 : i64
  %buffer = memref.alloc(%n) : memref<3x?xi64>
  %view = memref.subview %buffer[1, 0] [1, %n] [1, 1] : memref<3x?xi64> to memref<?xi64, strided<[1], offset: ?>>
  scf.forall (%i) in (%n) {{
    %v = arith.index_cast %i : index to i64
    memref.store %v, %view[%i] : memref<?xi64, strided<[1], offset: ?>>
  }}
  %first = memref.load %view[%c7] : memref<?xi64, strided<[1], offset: ?>>
  %twice = arith.muli %first, %two : i64
  scf.forall (%i) = (3) to (%n) step (2) {{
    %v = memref.load %view[%i] : memref<?xi64, strided<[1], offset: ?>>
    %w = arith.addi %v, %twice : i64
    scf.forall (%j) in (2) {{
      %in = arith.cmpi eq, %j, %c0 : index
      scf.if %in {{
        memref.store %w, %m[%i] : memref<?xi64>
      }}
    }}
  }}
  memref.dealloc %buffer : memref<3x?xi64>
  return
}}"""


@pytest.fixture
def threads() -> Iterator[int]:
    """Run with three threads."""
    library = ctypes.CDLL(thread_library().path)
    before = library.omp_get_max_threads()
    library.omp_set_num_threads(3)
    yield 3
    library.omp_set_num_threads(before)


def parts(out: Any) -> list[int]:
    """Return the lengths of runs of equal values."""
    changes = np.nonzero(np.diff(out))[0] + 1
    return list(np.diff([0, *changes, len(out)]))


def test_threads_take_contiguous_parts_with_a_workspace_each(compile_text: Any, threads: int) -> None:
    kernel = compile_text(WORKSPACES, "cpu-lowering")
    out = np.zeros(100, np.int64)
    kernel("k0", out, 100)
    assert parts(out) == [33, 33, 34]
    assert list(np.unique(np.diff(np.unique(out)))) == [64]


@pytest.mark.parametrize(
    ("size", "expected"), [(0, [0]), (1, [1]), (10, [10]), (11, [5, 6]), (20, [10, 10]), (21, [7] * 3)]
)
def test_grain_bounds_the_number_of_parts(compile_text: Any, threads: int, size: int, expected: list[int]) -> None:
    kernel = compile_text(WORKSPACES, "cpu-lowering")
    out = np.zeros(size, np.int64)
    kernel("k0", out, size)
    assert parts(out) == expected


def test_captured_values_are_recomputed_or_handed_over(compile_text: Any, threads: int) -> None:
    kernel = compile_text(TWO_LOOPS, "cpu-lowering")
    for size in (8, 1000):
        out = np.full(size, -1, np.int64)
        kernel("k0", out, size)
        expected = np.full(size, -1)
        expected[3::2] = np.arange(size)[3::2] + 14
        np.testing.assert_array_equal(out, expected)


# A kernel's function called by one of the threads of a parallel loop.
NESTED = f"""
func.func @outer({HEADER}) attributes {{stepwell.workspace = 64 : i64}} {{
  %c2 = arith.constant 2 : index
  scf.forall (%i) in (3) {{
    %last = arith.cmpi eq, %i, %c2 : index
    scf.if %last {{
      func.call @k0(%out, %size, %workspace, %status) : (memref<i64>, i64, memref<i8>, memref<i32>) -> ()
    }}
  }}
  return
}}"""


def test_nested_regions_run_serially(compile_text: Any, threads: int) -> None:
    kernel = compile_text(WORKSPACES + NESTED, "cpu-lowering")
    out = np.zeros(100, np.int64)
    kernel("outer", out, 100)
    assert parts(out) == [100]


def test_two_threads_may_call_at_once(compile_text: Any) -> None:
    kernel = compile_text(TWO_LOOPS, "cpu-lowering")
    outs = [np.full(50000, -1, np.int64) for _ in range(2)]
    callers = [threading.Thread(target=kernel, args=("k0", out, 50000)) for out in outs]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    np.testing.assert_array_equal(outs[0], outs[1])
    assert outs[0][3] == 17


FLAG_AFTER_LOOP = f"""
func.func @k0({HEADER}) {{
  {VIEW}
  %limit = arith.constant 500 : index
  %before = arith.constant true
  cf.assert %before, "never fails"
  scf.forall (%i) in (%n) {{
    %ok = arith.cmpi ne, %i, %limit : index
    cf.assert %ok, "index-out-of-range: test"
  }}
  return
}}"""


@pytest.mark.parametrize(("size", "status"), [(500, 0), (501, 2), (1000, 2)])
def test_checks_in_threads_reach_the_status_slot(compile_text: Any, threads: int, size: int, status: int) -> None:
    kernel = compile_text(FLAG_AFTER_LOOP, "cpu-lowering")
    kernel("k0", np.zeros(size, np.int64), size)
    assert kernel.status == status
    assert kernel.asserts == ["never fails", "index-out-of-range: test"]
