"""The fallback for a GPU takes every form a kernel may have, and computes what it says, in parallel where it can."""

import numpy as np
import pytest

from stepwell.backends.nvidia.in_process import compile_text, simulate
from stepwell.passes.schedules import schedule_nvidia
from stepwell.passes.schedules.nvidia.fallback import FallbackRule


@pytest.fixture
def alone(monkeypatch):
    """Let no other rule take a kernel."""
    monkeypatch.setattr(schedule_nvidia, "RULES", (FallbackRule(),))


SCATTER = """
module @k0 {
func.func @k0(%x: tensor<?x5xf32> {stepwell.sizes = ["n"]}, %index: tensor<?x3xi64> {stepwell.sizes = ["m"]},
              %source: tensor<?x3xf32> {stepwell.sizes = ["m"]}, %n: index {stepwell.symbol = "n"},
              %m: index {stepwell.symbol = "m"}) -> tensor<?x5xf32> attributes {stepwell.result_sizes = [["n"]]} {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c3 = arith.constant 3 : index
  %total = scf.for %i = %c0 to %m step %c1 iter_args(%t = %x) -> tensor<?x5xf32> {
    %row = scf.for %j = %c0 to %c3 step %c1 iter_args(%u = %t) -> tensor<?x5xf32> {
      %raw = tensor.extract %index[%i, %j] : tensor<?x3xi64>
      %at = arith.index_cast %raw : i64 to index
      %ok = arith.cmpi ult, %at, %n : index
      cf.assert %ok, "index-out-of-range: scatter_add"
      %safe = arith.select %ok, %at, %c0 : index
      %old = tensor.extract %u[%safe, %j] : tensor<?x5xf32>
      %value = tensor.extract %source[%i, %j] : tensor<?x3xf32>
      %new = arith.addf %old, %value : f32
      %v = tensor.insert %new into %u[%safe, %j] : tensor<?x5xf32>
      scf.yield %v : tensor<?x5xf32>
    }
    scf.yield %row : tensor<?x5xf32>
  }
  return %total : tensor<?x5xf32>
}
}
"""


def test_a_scatter_runs_its_independent_columns_at_once_and_adds_in_order(rng):
    made = compile_text(SCATTER)
    assert any("3 iterations" in reason and "1 loops in order" in reason for reason in made.info.reasons)
    x, source = rng.standard_normal((6, 5)).astype("f4"), rng.standard_normal((9, 3)).astype("f4")
    index = rng.integers(0, 6, (9, 3))
    expected = x.copy()
    for i in range(9):
        for j in range(3):
            expected[index[i, j], j] += source[i, j]
    for mode in ("fast", "strict"):
        run = simulate(made, [x, index, source], mode=mode)
        assert run.status == 0
        np.testing.assert_array_equal(run.outputs[0], expected)
    index[4, 1] = 6
    assert simulate(made, [x, index, source]).status == 1


SORT_ROWS = """
module @k0 {
func.func @k0(%x: tensor<?x?xf32> {stepwell.sizes = ["n", "m"]}, %n: index {stepwell.symbol = "n"},
              %m: index {stepwell.symbol = "m"}) -> tensor<?x?xf32>
    attributes {stepwell.result_sizes = [["n", "m"]]} {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %empty = tensor.empty(%n, %m) : tensor<?x?xf32>
  %sorted = scf.forall (%i) in (%n) shared_outs(%o = %empty) -> tensor<?x?xf32> {
    %part = tensor.extract_slice %o[%i, 0] [1, %m] [1, 1] : tensor<?x?xf32> to tensor<?xf32>
    %mine = tensor.empty(%m) : tensor<?xf32>
    %copy = scf.for %j = %c0 to %m step %c1 iter_args(%t = %mine) -> tensor<?xf32> {
      %value = tensor.extract %x[%i, %j] : tensor<?x?xf32>
      %u = tensor.insert %value into %t[%j] : tensor<?xf32>
      scf.yield %u : tensor<?xf32>
    }
    %done = scf.for %j = %c0 to %m step %c1 iter_args(%t = %copy) -> tensor<?xf32> {
      %value = tensor.extract %t[%j] : tensor<?xf32>
      %moved:2 = scf.while (%u = %t, %k = %j) : (tensor<?xf32>, index) -> (tensor<?xf32>, index) {
        %positive = arith.cmpi sgt, %k, %c0 : index
        %b0 = arith.subi %k, %c1 : index
        %b = arith.maxsi %b0, %c0 : index
        %before = tensor.extract %u[%b] : tensor<?xf32>
        %larger = arith.cmpf ogt, %before, %value : f32
        %go = arith.andi %positive, %larger : i1
        scf.condition(%go) %u, %k : tensor<?xf32>, index
      } do {
        ^bb0(%u: tensor<?xf32>, %k: index):
          %b = arith.subi %k, %c1 : index
          %before = tensor.extract %u[%b] : tensor<?xf32>
          %v = tensor.insert %before into %u[%k] : tensor<?xf32>
          scf.yield %v, %b : tensor<?xf32>, index
      }
      %placed = tensor.insert %value into %moved#0[%moved#1] : tensor<?xf32>
      scf.yield %placed : tensor<?xf32>
    }
    %out = scf.for %j = %c0 to %m step %c1 iter_args(%t = %part) -> tensor<?xf32> {
      %value = tensor.extract %done[%j] : tensor<?xf32>
      %u = tensor.insert %value into %t[%j] : tensor<?xf32>
      scf.yield %u : tensor<?xf32>
    }
    scf.forall.in_parallel {
      tensor.parallel_insert_slice %out into %o[%i, 0] [1, %m] [1, 1] : tensor<?xf32> into tensor<?x?xf32>
    }
  }
  return %sorted : tensor<?x?xf32>
}
}
"""


@pytest.mark.parametrize("shape", [(0, 3), (1, 1), (3, 8), (37, 5)])
def test_rows_run_at_once_each_with_temporaries_of_its_own(rng, shape):
    made = compile_text(SORT_ROWS)
    workspace = made.info.workspace
    assert workspace.symbols == {"n", "m"}
    x = rng.standard_normal(shape).astype("f4")
    for mode in ("fast", "strict") if shape == (3, 8) else ("fast",):
        (got,) = simulate(made, [x], mode=mode).outputs
        np.testing.assert_array_equal(got, np.sort(x, 1))


CARRIED = """
module @k0 {
func.func @k0(%mask: tensor<4x6xi1>, %x: tensor<?xf32> {stepwell.sizes = ["n"]}, %into: tensor<4x6xf32>,
              %n: index {stepwell.symbol = "n"}) -> tensor<4x6xf32> attributes {stepwell.result_sizes = [[]]} {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c4 = arith.constant 4 : index
  %c6 = arith.constant 6 : index
  %all:2 = scf.for %i = %c0 to %c4 step %c1 iter_args(%t = %into, %used = %c0) -> (tensor<4x6xf32>, index) {
    %row:2 = scf.for %j = %c0 to %c6 step %c1 iter_args(%u = %t, %k = %used) -> (tensor<4x6xf32>, index) {
      %bit = tensor.extract %mask[%i, %j] : tensor<4x6xi1>
      %step:2 = scf.if %bit -> (tensor<4x6xf32>, index) {
        %value = tensor.extract %x[%k] : tensor<?xf32>
        %v = tensor.insert %value into %u[%i, %j] : tensor<4x6xf32>
        %next = arith.addi %k, %c1 : index
        scf.yield %v, %next : tensor<4x6xf32>, index
      } else {
        scf.yield %u, %k : tensor<4x6xf32>, index
      }
      scf.yield %step#0, %step#1 : tensor<4x6xf32>, index
    }
    scf.yield %row#0, %row#1 : tensor<4x6xf32>, index
  }
  return %all#0 : tensor<4x6xf32>
}
}
"""


def test_what_carries_a_count_runs_in_one_thread(rng):
    made = compile_text(CARRIED)
    assert "launch 1: one thread, as its steps depend on each other" in made.info.reasons
    mask, x, into = rng.random((4, 6)) > 0.4, rng.standard_normal(24).astype("f4"), rng.standard_normal((4, 6))
    expected = into.astype("f4")
    expected[mask] = x[: mask.sum()]
    (got,) = simulate(made, [mask, x, into.astype("f4")]).outputs
    np.testing.assert_array_equal(got, expected)


@pytest.mark.parametrize("mode", ["fast", "strict"])
def test_reductions_and_temporaries_between_launches(kernel, alone, rng, mode):
    """The net below the rules for rows: a softmax, in launches that hand buffers to each other."""
    x = kernel.argument(("s0", 9))
    e = kernel.pointwise([x], "%r = math.exp %i0 : f32")
    total = kernel.reduce(e, [1], "0.0", "%r = arith.addf %o0, %i0 : f32")
    columns = kernel.reduce(x, [0], "0.0", "%r = arith.addf %o0, %i0 : f32")
    same = "(i, j) -> (i, j)"
    inputs, target = [(e, same), (total, "(i, j) -> (i)")], kernel.empty(("s0", 9))
    (share,) = kernel.generic(inputs, [(target, same)], "pp", "%r = arith.divf %i0, %i1 : f32")
    made = compile_text(kernel.returns(share, columns))
    assert made.info.schedule == "fallback"
    assert made.info.workspace.symbols == {"s0"}
    # Sums of columns: the loop over rows stays in each thread.
    assert any("9 iterations in 32 threads per block, 1 loops in order" in text for text in made.info.reasons)
    for rows in (1, 5):
        x = rng.standard_normal((rows, 9)).astype("f4")
        got, sums = simulate(made, [x], mode=mode).outputs
        e = np.exp(x.astype("f8"))
        np.testing.assert_allclose(got, e / e.sum(1, keepdims=True), rtol=1e-5)
        np.testing.assert_allclose(sums, x.astype("f8").sum(0), rtol=1e-5, atol=1e-6)


def test_a_product_of_matrices(kernel, alone, rng):
    """The net below the templates for contractions."""
    a, b, start = kernel.argument((7, 11)), kernel.argument((11, 5)), kernel.fill("0.0", (7, 5))
    inputs = [(a, "(m, n, k) -> (m, k)"), (b, "(m, n, k) -> (k, n)")]
    body = "%p = arith.mulf %i0, %i1 : f32\n%r = arith.addf %o0, %p : f32"
    (product,) = kernel.generic(inputs, [(start, "(m, n, k) -> (m, n)")], "ppr", body)
    x, y = rng.standard_normal((7, 11)).astype("f4"), rng.standard_normal((11, 5)).astype("f4")
    (got,) = simulate(kernel.returns(product), [x, y]).outputs
    np.testing.assert_allclose(got, x.astype("f8") @ y.astype("f8"), rtol=1e-5, atol=1e-5)


COUNT_FROM_MEMORY = """
module @k0 {
func.func @k0(%x: tensor<4xi64>) -> tensor<4xi64> {
  %c0 = arith.constant 0 : index
  %raw = tensor.extract %x[%c0] : tensor<4xi64>
  %n = arith.index_cast %raw : i64 to index
  %c1 = arith.constant 1 : index
  %t = scf.for %i = %c0 to %n step %c1 iter_args(%u = %x) -> tensor<4xi64> {
    %v = tensor.insert %raw into %u[%i] : tensor<4xi64>
    scf.yield %v : tensor<4xi64>
  }
  return %t : tensor<4xi64>
}
}
"""


def test_a_trip_count_from_memory_is_read_where_the_loop_runs():
    made = compile_text(COUNT_FROM_MEMORY)
    assert "launch 1: one thread, as its steps depend on each other" in made.info.reasons
    (got,) = simulate(made, [np.array([3, 4, 5, 6])]).outputs
    np.testing.assert_array_equal(got, [3, 3, 3, 6])


def test_a_kernel_of_empty_results_is_still_a_kernel():
    made = compile_text("""
module @k0 {
func.func @k0(%x: tensor<3xf32>) -> tensor<0x3xf32> {
  %empty = tensor.empty() : tensor<0x3xf32>
  return %empty : tensor<0x3xf32>
}
}
""")
    assert [str(grid.blocks) for grid in made.info.grids] == ["0"]
