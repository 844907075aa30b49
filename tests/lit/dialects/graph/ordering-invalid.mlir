// RUN: stepwell-opt %s --split-input-file --verify-diagnostics

func.func @no_such_dim(%x: tensor<3x4xf32>) {
  // expected-error @+1 {{dimension 2 is out of range for rank 2}}
  %0 = "graph.cumsum"(%x) {dim = 2 : i64} : (tensor<3x4xf32>) -> tensor<3x4xf32>
  return
}

// -----

func.func @integers_have_no_exponential(%x: tensor<3x4xi64>) {
  // expected-error @+1 {{needs a float operand, got int64[3, 4]}}
  %0 = "graph.logcumsumexp"(%x) {dim = 1 : i64} : (tensor<3x4xi64>) -> tensor<3x4xi64>
  return
}

// -----

func.func @positions_are_int64(%x: tensor<3x4xf32>) {
  // expected-error @+1 {{result 1 must be int64[3, 4], got int32[3, 4]}}
  %0:2 = "graph.sort"(%x) {dim = 1 : i64, descending = false} : (tensor<3x4xf32>) -> (tensor<3x4xf32>, tensor<3x4xi32>)
  return
}

// -----

func.func @more_than_there_are(%x: tensor<3x4xf32>) {
  // expected-error @+1 {{cannot take 5 of 4 elements}}
  %0:2 = "graph.topk"(%x) {k = 5 : i64, dim = 1 : i64, largest = true} : (tensor<3x4xf32>) -> (tensor<3x5xf32>, tensor<3x5xi64>)
  return
}

// -----

func.func @median_of_nothing(%x: tensor<3x0xf32>) {
  // expected-error @+1 {{dimension 1 of float32[3, 0] has no elements}}
  %0:2 = "graph.median"(%x) {dim = 1 : i64} : (tensor<3x0xf32>) -> (tensor<3xf32>, tensor<3xi64>)
  return
}

// -----

func.func @other_rows(%b: tensor<2x4xf32>, %x: tensor<3x4xf32>) {
  // expected-error @+1 {{boundaries float32[2, 4] must be 1-d, or fit values float32[3, 4] but for the last dimension}}
  %0 = "graph.searchsorted"(%b, %x) {right = false} : (tensor<2x4xf32>, tensor<3x4xf32>) -> tensor<3x4xi64>
  return
}
