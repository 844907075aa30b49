// RUN: stepwell-opt %s --split-input-file --verify-diagnostics

func.func @integer_softmax(%x: tensor<4x8xi64>) {
  // expected-error @+1 {{'graph.softmax' op needs a floating-point operand, got int64[4, 8]}}
  %0 = "graph.softmax"(%x) {dim = 1 : i64} : (tensor<4x8xi64>) -> tensor<4x8xi64>
  return
}

// -----

func.func @weight_shape(%x: tensor<4x8xf32>, %w: tensor<4xf32>) {
  // expected-error @+1 {{weight must have shape [8]}}
  %0 = "graph.rms_norm"(%x, %w) {dims = 1 : i64, eps = 1.0e-5 : f64, operandSegmentSizes = array<i32: 1, 1>} : (tensor<4x8xf32>, tensor<4xf32>) -> tensor<4x8xf32>
  return
}

// -----

func.func @groups(%x: tensor<4x6x3xf32>) {
  // expected-error @+1 {{cannot split the channels of float32[4, 6, 3] into 4 groups}}
  %0, %1, %2 = "graph.group_norm"(%x) {groups = 4 : i64, eps = 1.0e-5 : f64, operandSegmentSizes = array<i32: 1, 0, 0>} : (tensor<4x6x3xf32>) -> (tensor<4x6x3xf32>, tensor<4x4xf32>, tensor<4x4xf32>)
  return
}

// -----

func.func @statistics(%x: tensor<4x6x3xf32>, %m: tensor<6xf32>, %v: tensor<5xf32>) {
  // expected-error @+1 {{variance must have shape [6], got float32[5]}}
  %0 = "graph.batch_norm"(%x, %m, %v) {eps = 1.0e-5 : f64, operandSegmentSizes = array<i32: 1, 0, 0, 1, 1>} : (tensor<4x6x3xf32>, tensor<6xf32>, tensor<5xf32>) -> tensor<4x6x3xf32>
  return
}
