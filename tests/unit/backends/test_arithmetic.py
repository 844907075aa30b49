"""Counting floating-point operations of kernels, static and dynamic."""

import pytest

from stepwell.backends.arithmetic import count_flops
from stepwell.dialects.context import make_context
from stepwell.support.bindings import ir

MATMUL = """
#a = affine_map<(m, n, k) -> (m, k)>
#b = affine_map<(m, n, k) -> (k, n)>
#c = affine_map<(m, n, k) -> (m, n)>
#r = affine_map<(m, n) -> (m, n)>
func.func @k0(%a: tensor<?x8xf32> {stepwell.sizes = ["2*s0"]}, %b: tensor<8x16xf32>,
              %m: index {stepwell.symbol = "2*s0"}) -> tensor<?x16xf32> {
  %zero = arith.constant 0.0 : f32
  %empty = tensor.empty(%m) : tensor<?x16xf32>
  %fill = linalg.fill ins(%zero : f32) outs(%empty : tensor<?x16xf32>) -> tensor<?x16xf32>
  %0 = linalg.generic {indexing_maps = [#a, #b, #c], iterator_types = ["parallel", "parallel", "reduction"]}
      ins(%a, %b : tensor<?x8xf32>, tensor<8x16xf32>) outs(%fill : tensor<?x16xf32>) {
    ^bb0(%x: f32, %y: f32, %sum: f32):
      %p = arith.mulf %x, %y : f32
      %s = arith.addf %sum, %p : f32
      linalg.yield %s : f32
  } -> tensor<?x16xf32>
  %1 = linalg.generic {indexing_maps = [#r, #r], iterator_types = ["parallel", "parallel"]}
      ins(%0 : tensor<?x16xf32>) outs(%empty : tensor<?x16xf32>) {
    ^bb0(%x: f32, %old: f32):
      %e = math.exp %x : f32
      %n = math.absf %e : f32
      %big = arith.cmpf ogt, %n, %zero : f32
      %r = scf.if %big -> f32 {
        %t = arith.negf %n : f32
        scf.yield %t : f32
      } else {
        scf.yield %n : f32
      }
      linalg.yield %r : f32
  } -> tensor<?x16xf32>
  return %1 : tensor<?x16xf32>
}
"""

LOOP = """
func.func @k0(%a: tensor<12xf32>, %n: index {stepwell.symbol = "s0"}) -> tensor<12xf32> {
  %zero = arith.constant 0 : index
  %step = arith.constant 3 : index
  %0 = scf.for %i = %zero to %END step %step iter_args(%t = %a) -> tensor<12xf32> {
    %x = tensor.extract %t[%i] : tensor<12xf32>
    %y = arith.addf %x, %x : f32
    %next = tensor.insert %y into %t[%i] : tensor<12xf32>
    scf.yield %next : tensor<12xf32>
  }
  return %0 : tensor<12xf32>
}
"""

UNKNOWN = LOOP.replace("%0 =", "%v = arith.constant 7 : i64\n %u = arith.index_cast %v : i64 to index\n %0 =")
MOVE = """
func.func @k0(%a: tensor<?xf32> {stepwell.sizes = ["s0"]}) -> tensor<?xf32> {
  return %a : tensor<?xf32>
}
"""


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (MATMUL, "576*s0"),
        (LOOP.replace("%END", "%n"), "((s0 + 2) // 3)"),
        (UNKNOWN.replace("%END", "%u"), None),
        (MOVE, "0"),
    ],
)
def test_count(text: str, expected: str | None) -> None:
    with make_context() as context, ir.Location.unknown():
        module = ir.Module.parse(text, context)
        flops = count_flops(module.body.operations[0].operation)
    assert (None if flops is None else str(flops)) == expected
