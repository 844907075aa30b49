// RUN: stepwell-opt %s --split-input-file --verify-diagnostics

func.func @kept_dimension(%x: tensor<4x8xf32>) {
  // expected-error @+1 {{'graph.sum' op result 0 must be float32[4, 1], got float32[4]}}
  %0 = "graph.sum"(%x) {dims = array<i64: 1>, keepdim = true} : (tensor<4x8xf32>) -> tensor<4xf32>
  return
}

// -----

func.func @repeated_dimension(%x: tensor<4x8xf32>) {
  // expected-error @+1 {{dims [1, 1] must be increasing dimensions of a rank 2 tensor}}
  %0 = "graph.amax"(%x) {dims = array<i64: 1, 1>, keepdim = false} : (tensor<4x8xf32>) -> tensor<4xf32>
  return
}

// -----

func.func @logical_result(%x: tensor<4x8xf32>) {
  // expected-error @+1 {{result 0 must be bool[4], got float32[4]}}
  %0 = "graph.all"(%x) {dims = array<i64: 1>, keepdim = false} : (tensor<4x8xf32>) -> tensor<4xf32>
  return
}

// -----

func.func @dimension_out_of_range(%x: tensor<4x8xf32>) {
  // expected-error @+1 {{dim 2 is out of range for rank 2}}
  %0, %1 = "graph.min_dim"(%x) {dim = 2 : i64, keepdim = false} : (tensor<4x8xf32>) -> (tensor<4xf32>, tensor<4xi64>)
  return
}
