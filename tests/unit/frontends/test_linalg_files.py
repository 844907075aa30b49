"""Files of linalg on tensors, as other importers write them: named ops, weights in the text, sizes without names."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import stepwell as sw

NET = """
#map = affine_map<(d0, d1) -> (d0, d1)>
#row = affine_map<(d0, d1) -> (d1)>
module attributes {torch.debug_module_name = "Net"} {
  ml_program.global private mutable @global_seed(dense<0> : tensor<i64>) : tensor<i64>
  func.func @forward(%x: tensor<?x3xf32>, %y: tensor<?x4xf32>) -> tensor<?x4xf32> {
    %zero = arith.constant 0.0 : f32
    %w = arith.constant dense<[[1.0, 2.0, 3.0], [0.5, -1.0, 2.0], [0.0, 0.0, 1.0], [4.0, 1.0, -2.0]]> : tensor<4x3xf32>
    %b = arith.constant dense<[0.1, 0.2, 0.3, 0.4]> : tensor<4xf32>
    %c0 = arith.constant 0 : index
    %n = tensor.dim %x, %c0 : tensor<?x3xf32>
    %0 = tensor.empty() : tensor<3x4xf32>
    %t = linalg.transpose ins(%w : tensor<4x3xf32>) outs(%0 : tensor<3x4xf32>) permutation = [1, 0]
    %1 = tensor.empty(%n) : tensor<?x4xf32>
    %2 = linalg.fill ins(%zero : f32) outs(%1 : tensor<?x4xf32>) -> tensor<?x4xf32>
    %3 = linalg.matmul ins(%x, %t : tensor<?x3xf32>, tensor<3x4xf32>) outs(%2 : tensor<?x4xf32>) -> tensor<?x4xf32>
    %4 = linalg.generic {indexing_maps = [#map, #row, #map, #map], iterator_types = ["parallel", "parallel"]}
        ins(%3, %b, %y : tensor<?x4xf32>, tensor<4xf32>, tensor<?x4xf32>) outs(%1 : tensor<?x4xf32>) {
    ^bb0(%p: f32, %q: f32, %r: f32, %out: f32):
      %5 = arith.addf %p, %q : f32
      %6 = arith.cmpf ugt, %5, %zero : f32
      %7 = arith.select %6, %5, %zero : f32
      %8 = arith.addf %7, %r : f32
      linalg.yield %8 : f32
    } -> tensor<?x4xf32>
    return %4 : tensor<?x4xf32>
  }
}
"""
WEIGHT = np.array([[1, 2, 3], [0.5, -1, 2], [0, 0, 1], [4, 1, -2]], np.float32)
BIAS = np.array([0.1, 0.2, 0.3, 0.4], np.float32)

CONVOLUTION = """
func.func @forward(%x: tensor<?x2x6x5xf32>, %w: tensor<4x2x3x3xf32>) -> tensor<?x4x6x5xf32> {
  %zero = arith.constant 0.0 : f32
  %c0 = arith.constant 0 : index
  %n = tensor.dim %x, %c0 : tensor<?x2x6x5xf32>
  %padded = tensor.pad %x low[0, 0, 1, 1] high[0, 0, 1, 1] {
  ^bb0(%a: index, %b: index, %c: index, %d: index):
    tensor.yield %zero : f32
  } : tensor<?x2x6x5xf32> to tensor<?x2x8x7xf32>
  %e = tensor.empty(%n) : tensor<?x4x6x5xf32>
  %s = linalg.fill ins(%zero : f32) outs(%e : tensor<?x4x6x5xf32>) -> tensor<?x4x6x5xf32>
  %y = linalg.conv_2d_nchw_fchw {dilations = dense<1> : vector<2xi64>, strides = dense<1> : vector<2xi64>}
      ins(%padded, %w : tensor<?x2x8x7xf32>, tensor<4x2x3x3xf32>) outs(%s : tensor<?x4x6x5xf32>) -> tensor<?x4x6x5xf32>
  return %y : tensor<?x4x6x5xf32>
}
"""


def compiled(text: str, tmp_path: Path, **options: Any) -> Any:
    path = tmp_path / "net.mlir"
    path.write_text(text)
    return sw.compile(path, **options)


@pytest.mark.parametrize(("target", "device"), [("cpu", None), ("cuda:sm_90a", "sim")])
def test_a_net_with_its_weights(tmp_path: Path, target: str, device: str | None) -> None:
    exe = compiled(NET, tmp_path, target=target, device=device)
    rng = np.random.default_rng()
    for rows in (1, 6, 33):
        x, y = (rng.standard_normal((rows, width)).astype(np.float32) for width in (3, 4))
        np.testing.assert_allclose(exe(x, y), np.maximum(x @ WEIGHT.T + BIAS, 0) + y, rtol=1e-5, atol=1e-5)


def test_sizes_that_the_program_takes_to_be_equal_are_checked(tmp_path: Path) -> None:
    exe = compiled(NET, tmp_path)
    wanted = r"argument 'arg1' must have size s0 = 3 .* in dimension 0, got 2"
    with pytest.raises(sw.errors.ArgumentError, match=wanted):
        exe(np.zeros((3, 3), np.float32), np.zeros((2, 4), np.float32))


def test_a_padded_convolution(tmp_path: Path) -> None:
    import torch

    exe = compiled(CONVOLUTION, tmp_path)
    x, w = torch.randn(3, 2, 6, 5), torch.randn(4, 2, 3, 3)
    torch.testing.assert_close(exe(x, w), torch.nn.functional.conv2d(x, w, padding=1), rtol=1e-5, atol=1e-5)


def test_a_file_with_two_programs(tmp_path: Path) -> None:
    two = NET.replace("  ml_program.global", CONVOLUTION.replace("@forward", "@other") + "  ml_program.global")
    with pytest.raises(sw.errors.PassFailure, match="it holds @other, @forward"):
        compiled(two, tmp_path)
