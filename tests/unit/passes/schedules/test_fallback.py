"""The fallback rule takes every form a kernel may have, and computes what it says."""

from typing import Any

import numpy as np
import pytest

from stepwell.passes.schedules.cpu.fallback import build_fallback
from stepwell.passes.schedules.kernel import Kernel, Refusal
from stepwell.support.bindings import ir

ID1, ID2 = "affine_map<(i) -> (i)>", "affine_map<(i, j) -> (i, j)>"


def schedule(module: Any) -> None:
    for op in list(module.body.operations):
        build_fallback(Kernel.of(op.operation))


SOFTMAX_WITH_MASK = """
#m = affine_map<(i, j) -> (i, j)>
#r = affine_map<(i, j) -> (i)>
func.func @k0(%x: tensor<?x9xf32> {stepwell.sizes = ["s0"]}, %mask: tensor<?x9xi1> {stepwell.sizes = ["s0"]},
              %s0: index {stepwell.symbol = "s0"}) -> (tensor<?x9xf32>, tensor<?x9xi1>)
    attributes {stepwell.result_sizes = [["s0"], ["s0"]]} {
  %zero = arith.constant 0.0 : f32
  %rows = tensor.empty(%s0) : tensor<?xf32>
  %all = tensor.empty(%s0) : tensor<?x9xf32>
  %bits = tensor.empty(%s0) : tensor<?x9xi1>
  %init = linalg.fill ins(%zero : f32) outs(%rows : tensor<?xf32>) -> tensor<?xf32>
  %e = linalg.generic {indexing_maps = [#m, #m], iterator_types = ["parallel", "parallel"]}
      ins(%x : tensor<?x9xf32>) outs(%all : tensor<?x9xf32>) {
    ^bb0(%a: f32, %o: f32):
      %c = math.exp %a : f32
      linalg.yield %c : f32 } -> tensor<?x9xf32>
  %sum = linalg.generic {indexing_maps = [#m, #r], iterator_types = ["parallel", "reduction"]}
      ins(%e : tensor<?x9xf32>) outs(%init : tensor<?xf32>) {
    ^bb0(%a: f32, %b: f32):
      %c = arith.addf %a, %b : f32
      linalg.yield %c : f32 } -> tensor<?xf32>
  %r:2 = linalg.generic {indexing_maps = [#m, #r, #m, #m, #m], iterator_types = ["parallel", "parallel"]}
      ins(%e, %sum, %mask : tensor<?x9xf32>, tensor<?xf32>, tensor<?x9xi1>)
      outs(%all, %bits : tensor<?x9xf32>, tensor<?x9xi1>) {
    ^bb0(%a: f32, %b: f32, %k: i1, %o: f32, %q: i1):
      %c = arith.divf %a, %b : f32
      %y = arith.select %k, %c, %zero : f32
      %true = arith.constant true
      %n = arith.xori %k, %true : i1
      linalg.yield %y, %n : f32, i1 } -> (tensor<?x9xf32>, tensor<?x9xi1>)
  return %r#0, %r#1 : tensor<?x9xf32>, tensor<?x9xi1>
}
"""


@pytest.mark.parametrize("rows", [0, 1, 5, 70001])
def test_parallel_ops_share_temporaries_and_bools_are_bytes(compile_text: Any, rng: Any, rows: int) -> None:
    kernel = compile_text(SOFTMAX_WITH_MASK, schedule, "cpu-lowering")
    x, mask = rng.standard_normal((rows, 9)).astype(np.float32), rng.random((rows, 9)) > 0.5
    out, flipped = np.full((rows, 9), 7, np.float32), np.full((rows, 9), 7, np.int8)
    kernel("k0", x, mask.view(np.int8), out, flipped, rows)
    e = np.exp(x.astype(np.float64))
    expected = np.where(mask, e / e.sum(-1, keepdims=True), 0)
    np.testing.assert_allclose(out, expected, rtol=1e-5, atol=1e-7)
    np.testing.assert_array_equal(flipped, ~mask)


SHAPES = """
func.func @k0(%x: tensor<?x4xf32> {stepwell.sizes = ["n"]}, %n: index {stepwell.symbol = "n"},
              %m: index {stepwell.symbol = "4*n"})
    -> (tensor<?xf32>, tensor<?x11xf32>, tensor<?x2xf32>, tensor<4xi1>, tensor<f32>)
    attributes {stepwell.result_sizes = [["4*n"], ["n"], ["n"], [], []]} {
  %zero = arith.constant 0.0 : f32
  %flat = tensor.collapse_shape %x [[0, 1]] : tensor<?x4xf32> into tensor<?xf32>
  %padded = tensor.pad %x low[0, 1] high[0, 2] {
    ^bb0(%i: index, %j: index):
      tensor.yield %zero : f32 } : tensor<?x4xf32> to tensor<?x7xf32>
  %joined = tensor.concat dim(1) %padded, %x : (tensor<?x7xf32>, tensor<?x4xf32>) -> tensor<?x11xf32>
  %slice = tensor.extract_slice %x[0, 1] [%n, 2] [1, 2] : tensor<?x4xf32> to tensor<?x2xf32>
  %bits = arith.constant dense<[true, false, false, true]> : tensor<4xi1>
  %scalar = arith.constant dense<2.5> : tensor<f32>
  return %flat, %joined, %slice, %bits, %scalar
      : tensor<?xf32>, tensor<?x11xf32>, tensor<?x2xf32>, tensor<4xi1>, tensor<f32>
}
"""


@pytest.mark.parametrize("rows", [0, 1, 6])
def test_shape_ops_and_constants(compile_text: Any, rng: Any, rows: int) -> None:
    kernel = compile_text(SHAPES, schedule, "cpu-lowering")
    x = rng.standard_normal((rows, 4)).astype(np.float32)
    flat, joined, part = (
        np.empty(4 * rows, np.float32),
        np.empty((rows, 11), np.float32),
        np.empty((rows, 2), np.float32),
    )
    bits, scalar = np.empty(4, np.int8), np.empty((), np.float32)
    kernel("k0", x, flat, joined, part, bits, scalar, rows, 4 * rows)
    np.testing.assert_array_equal(flat, x.ravel())
    np.testing.assert_array_equal(joined, np.concatenate([np.pad(x, ((0, 0), (1, 2))), x], 1))
    np.testing.assert_array_equal(part, x[:, 1::2])
    np.testing.assert_array_equal(bits, [1, 0, 0, 1])
    assert scalar == 2.5


LOOPS = """
func.func @k0(%x: tensor<?xi64> {stepwell.sizes = ["n"]}, %index: tensor<?xi64> {stepwell.sizes = ["n"]},
              %n: index {stepwell.symbol = "n"}) -> (tensor<5xi64>, tensor<?xi64>)
    attributes {stepwell.result_sizes = [[], ["n"]]} {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %zero = arith.constant 0 : i64
  %five = arith.constant 5 : i64
  %e = tensor.empty() : tensor<5xi64>
  %init = linalg.fill ins(%zero : i64) outs(%e : tensor<5xi64>) -> tensor<5xi64>
  %counts = scf.for %i = %c0 to %n step %c1 iter_args(%t = %init) -> tensor<5xi64> {
    %at = tensor.extract %index[%i] : tensor<?xi64>
    %low = arith.cmpi sge, %at, %zero : i64
    %high = arith.cmpi slt, %at, %five : i64
    %ok = arith.andi %low, %high : i1
    cf.assert %ok, "index-out-of-range: scatter"
    %safe = arith.select %ok, %at, %zero : i64
    %j = arith.index_cast %safe : i64 to index
    %old = tensor.extract %t[%j] : tensor<5xi64>
    %value = tensor.extract %x[%i] : tensor<?xi64>
    %new = arith.addi %old, %value : i64
    %u = tensor.insert %new into %t[%j] : tensor<5xi64>
    scf.yield %u : tensor<5xi64>
  }
  // Insertion sort: the sorted part grows from the left.
  %sorted = scf.for %i = %c0 to %n step %c1 iter_args(%t = %x) -> tensor<?xi64> {
    %value = tensor.extract %t[%i] : tensor<?xi64>
    %moved:2 = scf.while (%u = %t, %j = %i) : (tensor<?xi64>, index) -> (tensor<?xi64>, index) {
      %positive = arith.cmpi sgt, %j, %c0 : index
      %k0 = arith.subi %j, %c1 : index
      %k = arith.maxsi %k0, %c0 : index
      %before = tensor.extract %u[%k] : tensor<?xi64>
      %larger = arith.cmpi sgt, %before, %value : i64
      %go = arith.andi %positive, %larger : i1
      scf.condition(%go) %u, %j : tensor<?xi64>, index
    } do {
      ^bb0(%u: tensor<?xi64>, %j: index):
        %k = arith.subi %j, %c1 : index
        %before = tensor.extract %u[%k] : tensor<?xi64>
        %v = tensor.insert %before into %u[%j] : tensor<?xi64>
        scf.yield %v, %k : tensor<?xi64>, index
    }
    %placed = tensor.insert %value into %moved#0[%moved#1] : tensor<?xi64>
    scf.yield %placed : tensor<?xi64>
  }
  return %counts, %sorted : tensor<5xi64>, tensor<?xi64>
}
"""


@pytest.mark.parametrize("size", [0, 1, 33])
def test_loop_forms_leave_the_inputs_alone(compile_text: Any, rng: Any, size: int) -> None:
    kernel = compile_text(LOOPS, schedule, "cpu-lowering")
    x, index = rng.integers(-50, 50, size), rng.integers(0, 5, size)
    before = x.copy()
    counts, ordered = np.empty(5, np.int64), np.empty(size, np.int64)
    kernel("k0", x, index, counts, ordered, size)
    expected = np.zeros(5, np.int64)
    np.add.at(expected, index, x)
    np.testing.assert_array_equal(counts, expected)
    np.testing.assert_array_equal(ordered, np.sort(before))
    np.testing.assert_array_equal(x, before)
    assert kernel.status == 0


def test_failing_check_reports_and_goes_on(compile_text: Any) -> None:
    kernel = compile_text(LOOPS, schedule, "cpu-lowering")
    counts, ordered = np.empty(5, np.int64), np.empty(3, np.int64)
    kernel("k0", np.array([1, 2, 4]), np.array([1, 5, -1]), counts, ordered, 3)
    assert kernel.asserts[kernel.status - 1] == "index-out-of-range: scatter"
    np.testing.assert_array_equal(counts, [6, 1, 0, 0, 0])


ROWS_IN_PARALLEL = """
func.func @k0(%x: tensor<?x5x8xf32> {stepwell.sizes = ["n"]}, %n: index {stepwell.symbol = "n"}) -> tensor<?x5x8xf32>
    attributes {stepwell.result_sizes = [["n"]]} {
  %out = tensor.empty(%n) : tensor<?x5x8xf32>
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c8 = arith.constant 8 : index
  %zero = arith.constant 0.0 : f32
  %r = scf.forall (%i, %k) in (%n, 5) shared_outs(%o = %out) -> (tensor<?x5x8xf32>) {
    %row = tensor.empty() : tensor<8xf32>
    %scan:2 = scf.for %j = %c0 to %c8 step %c1 iter_args(%t = %row, %sum = %zero) -> (tensor<8xf32>, f32) {
      %v = tensor.extract %x[%i, %k, %j] : tensor<?x5x8xf32>
      %a = arith.addf %sum, %v : f32
      %u = tensor.insert %a into %t[%j] : tensor<8xf32>
      scf.yield %u, %a : tensor<8xf32>, f32
    }
    scf.forall.in_parallel {
      tensor.parallel_insert_slice %scan#0 into %o[%i, %k, 0] [1, 1, 8] [1, 1, 1]
          : tensor<8xf32> into tensor<?x5x8xf32>
    }
  }
  return %r : tensor<?x5x8xf32>
}
"""


@pytest.mark.parametrize("size", [0, 1, 300])
def test_parallel_loops_of_the_program_stay_parallel(compile_text: Any, rng: Any, size: int) -> None:
    kernel = compile_text(ROWS_IN_PARALLEL, schedule, "cpu-lowering")
    assert "GOMP_parallel" in kernel.module
    x, out = rng.standard_normal((size, 5, 8)).astype(np.float32), np.empty((size, 5, 8), np.float32)
    kernel("k0", x, out, size)
    np.testing.assert_allclose(out, np.cumsum(x, -1), rtol=1e-4, atol=1e-5)


SMALL_TEMPORARY = f"""
func.func @k0(%x: tensor<4x3xf32>) -> tensor<4xf32> {{
  %zero = arith.constant 0.0 : f32
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c4 = arith.constant 4 : index
  %out = tensor.empty() : tensor<4xf32>
  %r = scf.for %i = %c0 to %c4 step %c1 iter_args(%t = %out) -> tensor<4xf32> {{
    %e = tensor.empty() : tensor<3xf32>
    %row = tensor.extract_slice %x[%i, 0] [1, 3] [1, 1] : tensor<4x3xf32> to tensor<3xf32>
    %twice = linalg.generic {{indexing_maps = [{ID1}, {ID1}], iterator_types = ["parallel"]}}
        ins(%row : tensor<3xf32>) outs(%e : tensor<3xf32>) {{
      ^bb0(%a: f32, %o: f32):
        %s = arith.addf %a, %a : f32
        linalg.yield %s : f32 }} -> tensor<3xf32>
    %first = tensor.extract %twice[%c0] : tensor<3xf32>
    %last = tensor.extract %twice[%c1] : tensor<3xf32>
    %sum = arith.addf %first, %last : f32
    %u = tensor.insert %sum into %t[%i] : tensor<4xf32>
    scf.yield %u : tensor<4xf32>
  }}
  return %r : tensor<4xf32>
}}
"""


def test_small_temporaries_live_in_the_workspace(compile_text: Any, rng: Any) -> None:
    kernel = compile_text(SMALL_TEMPORARY, schedule, "cpu-lowering")
    assert kernel.workspace == 64
    assert "aligned_alloc" not in kernel.module
    x, out = rng.standard_normal((4, 3)).astype(np.float32), np.empty(4, np.float32)
    kernel("k0", x, out)
    np.testing.assert_allclose(out, 2 * x[:, 0] + 2 * x[:, 1], rtol=1e-6)


def test_refuses_a_size_without_an_argument_and_leaves_the_kernel(compile_text: Any) -> None:
    text = """func.func @k0(%x: tensor<?xf32> {stepwell.sizes = ["s0"]}) -> tensor<?xf32>
        attributes {stepwell.result_sizes = [["s0"]]} { return %x : tensor<?xf32> }"""

    def refused(module: Any) -> None:
        before = str(module)
        with pytest.raises(Refusal, match="no index argument carries the size 's0'"):
            schedule(module)
        assert str(module) == before
        for op in module.body.operations:
            op.operation.erase()

    compile_text(text, refused)


def test_takes_a_function_among_others(compile_text: Any, rng: Any) -> None:
    second = SMALL_TEMPORARY.replace("@k0", "@k1")
    kernel = compile_text(SMALL_TEMPORARY + second, schedule, "cpu-lowering")
    x, out = rng.standard_normal((4, 3)).astype(np.float32), np.empty(4, np.float32)
    kernel("k1", x, out)
    np.testing.assert_allclose(out, 2 * x[:, 0] + 2 * x[:, 1], rtol=1e-6)


def test_constants_of_two_functions_do_not_meet(compile_text: Any) -> None:
    text = "".join(
        f"""func.func @k{i}() -> tensor<2xi64> {{
          %c = arith.constant dense<[{i}, 5]> : tensor<2xi64>
          return %c : tensor<2xi64> }}"""
        for i in range(2)
    )
    kernel = compile_text(text, schedule, "cpu-lowering")
    for i in range(2):
        out = np.empty(2, np.int64)
        kernel(f"k{i}", out)
        assert list(out) == [i, 5]


def test_grain_counts_the_work_of_an_iteration() -> None:
    from stepwell.dialects.context import make_context

    with make_context(), ir.Location.unknown():
        module = ir.Module.parse(SOFTMAX_WITH_MASK)
        schedule(module)
        text = str(module)
    assert text.count("scf.forall") == 4
    assert "stepwell.grain = 1820" in text
