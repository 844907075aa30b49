// RUN: stepwell-opt %s --pack-constants --verify-diagnostics

// expected-error@below {{'func.func' op the dynamic sizes of tensor<?x64xf32> are not given}}
func.func @unnamed_size(%x: tensor<?x64xf32>, %w: tensor<32x64xf32>, %zeros: tensor<?x32xf32>) -> tensor<?x32xf32> {
  %sums = linalg.generic {
      indexing_maps = [affine_map<(m, n, k) -> (m, k)>, affine_map<(m, n, k) -> (n, k)>, affine_map<(m, n, k) -> (m, n)>],
      iterator_types = ["parallel", "parallel", "reduction"]}
      ins(%x, %w : tensor<?x64xf32>, tensor<32x64xf32>) outs(%zeros : tensor<?x32xf32>) {
  ^bb0(%a: f32, %b: f32, %s: f32):
    %p = arith.mulf %a, %b : f32
    %q = arith.addf %s, %p : f32
    linalg.yield %q : f32
  } -> tensor<?x32xf32>
  return %sums : tensor<?x32xf32>
}
