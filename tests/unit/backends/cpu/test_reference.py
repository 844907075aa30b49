"""The reference road: programs on tensors run as they stand, on numpy arrays."""

from typing import Any

import ml_dtypes
import numpy as np
import pytest

from stepwell.backends.cpu.reference import run_reference
from stepwell.dialects.context import make_context
from stepwell.support.bindings import ir
from stepwell.support.errors import CompileError

PROGRAM = """
#m = affine_map<(i, j) -> (i, j)>
#r = affine_map<(i, j) -> (i)>
#v = affine_map<(i) -> (i)>
func.func @main(%x: tensor<?x3xf32>, %mask: tensor<?x3xi1>, %h: tensor<3xbf16>, %bytes: tensor<2xi8>)
    -> (tensor<?x3xf32>, tensor<?x3xi1>, tensor<?xf32>, tensor<3xbf16>, tensor<f32>, tensor<2xi1>, tensor<2xi8>) {
  %c0 = arith.constant 0 : index
  %zero = arith.constant 0.0 : f32
  %n = tensor.dim %x, %c0 : tensor<?x3xf32>
  %rows = tensor.empty(%n) : tensor<?xf32>
  %all = tensor.empty(%n) : tensor<?x3xf32>
  %bits = tensor.empty(%n) : tensor<?x3xi1>
  %narrow = tensor.empty() : tensor<3xbf16>
  %init = linalg.fill ins(%zero : f32) outs(%rows : tensor<?xf32>) -> tensor<?xf32>
  %sum = linalg.generic {indexing_maps = [#m, #r], iterator_types = ["parallel", "reduction"]}
      ins(%x : tensor<?x3xf32>) outs(%init : tensor<?xf32>) {
    ^bb0(%a: f32, %b: f32):
      %c = arith.addf %a, %b : f32
      linalg.yield %c : f32 } -> tensor<?xf32>
  %r:2 = linalg.generic {indexing_maps = [#m, #m, #m, #m], iterator_types = ["parallel", "parallel"]}
      ins(%x, %mask : tensor<?x3xf32>, tensor<?x3xi1>) outs(%all, %bits : tensor<?x3xf32>, tensor<?x3xi1>) {
    ^bb0(%a: f32, %k: i1, %o: f32, %q: i1):
      %e = math.erf %a : f32
      cf.assert %k, "never aborts here"
      %y = arith.select %k, %e, %zero : f32
      %g = arith.cmpf ogt, %y, %zero : f32
      linalg.yield %y, %g : f32, i1 } -> (tensor<?x3xf32>, tensor<?x3xi1>)
  %t = linalg.generic {indexing_maps = [#v, #v], iterator_types = ["parallel"]}
      ins(%h : tensor<3xbf16>) outs(%narrow : tensor<3xbf16>) {
    ^bb0(%a: bf16, %o: bf16):
      %w = arith.extf %a : bf16 to f32
      %s = math.tanh %w : f32
      %u = arith.truncf %s : f32 to bf16
      linalg.yield %u : bf16 } -> tensor<3xbf16>
  %scalar = arith.constant dense<3.5> : tensor<f32>
  %constant = arith.constant dense<[true, false]> : tensor<2xi1>
  return %r#0, %r#1, %sum, %t, %scalar, %constant, %bytes : tensor<?x3xf32>, tensor<?x3xi1>, tensor<?xf32>,
      tensor<3xbf16>, tensor<f32>, tensor<2xi1>, tensor<2xi8>
}
"""


@pytest.fixture
def module() -> Any:
    with make_context(), ir.Location.unknown():
        yield ir.Module.parse(PROGRAM)


@pytest.mark.parametrize("rows", [0, 1, 4])
def test_runs_every_kind_of_type(module: Any, rng: np.random.Generator, rows: int) -> None:
    x = rng.standard_normal((rows, 3)).astype(np.float32)
    mask = rng.random((rows, 3)) > 0.5
    h = np.array([1, -0.5, np.nan], ml_dtypes.bfloat16)
    raw = np.array([200, 3], np.uint8)
    before = str(module)
    values, signs, sums, narrow, scalar, constant, kept = run_reference(module, [x, mask, h, raw])
    assert str(module) == before
    np.testing.assert_array_equal(signs, mask & (x > 0))
    assert values.shape == (rows, 3)
    np.testing.assert_array_equal(values != 0, mask)
    np.testing.assert_allclose(sums, x.sum(1), rtol=1e-5, atol=1e-6)
    expected = np.tanh(h.astype(np.float32)).astype(ml_dtypes.bfloat16)
    assert narrow.dtype == expected.dtype
    np.testing.assert_array_equal(narrow.astype(np.float32), expected.astype(np.float32))
    assert scalar == 3.5
    assert scalar.shape == ()
    np.testing.assert_array_equal(constant, [True, False])
    np.testing.assert_array_equal(kept.view(np.uint8), raw)
    assert not np.shares_memory(kept, raw)


def test_refuses_what_does_not_fit(module: Any) -> None:
    good = [np.zeros((2, 3), np.float32), np.zeros((2, 3), bool), np.zeros(3, ml_dtypes.bfloat16), np.zeros(2, np.int8)]
    with pytest.raises(CompileError, match="takes 4 arrays, got 3"):
        run_reference(module, good[:3])
    with pytest.raises(CompileError, match=r"argument 0 of @main is tensor<\?x3xf32>, got float32\[2, 4\]"):
        run_reference(module, [np.zeros((2, 4), np.float32), *good[1:]])
    with pytest.raises(CompileError, match=r"argument 2 of @main is .*, got float32"):
        run_reference(module, [*good[:2], np.zeros(3, np.float32), good[3]])
    with pytest.raises(CompileError, match="no function @other"):
        run_reference(module, good, "other")
