// RUN: stepwell-opt %s --split-input-file --verify-diagnostics

func.func @floor_mode(%x: tensor<1x3x8x9xf32>) {
  // expected-error @+1 {{'graph.max_pool' op result 0 must be float32[1, 3, 4, 4], got float32[1, 3, 4, 5]}}
  %0 = "graph.max_pool"(%x) {kernel = array<i64: 2, 2>, stride = array<i64: 2, 2>, padding = array<i64: 0, 0>, dilation = array<i64: 1, 1>, ceil_mode = false} : (tensor<1x3x8x9xf32>) -> tensor<1x3x4x5xf32>
  return
}

// -----

func.func @rank(%x: tensor<9xf32>) {
  // expected-error @+1 {{pools 2 dimensions of a rank 1 tensor}}
  %0 = "graph.adaptive_avg_pool"(%x) {sizes = array<i64: 1, 1>} : (tensor<9xf32>) -> tensor<1x1xf32>
  return
}
