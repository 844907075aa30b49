// RUN: stepwell-opt %s --split-input-file --verify-diagnostics

func.func @other_sizes(%x: tensor<3x4xf32>, %y: tensor<3x5xf32>) {
  // expected-error @+1 {{operand 1 has size 5 at dimension 1, operand 0 4}}
  %0 = "graph.cat"(%x, %y) {dim = 0 : i64, operandSegmentSizes = array<i32: 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0>} : (tensor<3x4xf32>, tensor<3x5xf32>) -> tensor<6x4xf32>
  return
}

// -----

func.func @other_rank(%x: tensor<3x4xf32>, %y: tensor<4xf32>) {
  // expected-error @+1 {{operand 1 has rank 1 and operand 0 rank 2}}
  %0 = "graph.cat"(%x, %y) {dim = 0 : i64, operandSegmentSizes = array<i32: 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0>} : (tensor<3x4xf32>, tensor<4xf32>) -> tensor<4x4xf32>
  return
}

// -----

func.func @other_dtype(%x: tensor<3xf32>, %y: tensor<3xi64>) {
  // expected-error @+1 {{operands of 'graph.cat' must have one dtype, got float32, int64}}
  %0 = "graph.cat"(%x, %y) {dim = 0 : i64, operandSegmentSizes = array<i32: 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0>} : (tensor<3xf32>, tensor<3xi64>) -> tensor<6xf32>
  return
}

// -----

func.func @nothing() {
  // expected-error @+1 {{needs at least one operand}}
  %0 = "graph.cat"() {dim = 0 : i64, operandSegmentSizes = array<i32: 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0>} : () -> tensor<6xf32>
  return
}

// -----

func.func @crops_all(%x: tensor<3xf32>) {
  // expected-error @+1 {{pads -2 and -2 leave nothing of size 3}}
  %0 = "graph.constant_pad_nd"(%x) {pads = ["-2", "-2"], value = 0.0 : f64} : (tensor<3xf32>) -> tensor<0xf32>
  return
}

// -----

func.func @pads_of_some(%x: tensor<3x4xf32>) {
  // expected-error @+1 {{needs a low and a high pad per dimension, got 2 for rank 2}}
  %0 = "graph.replication_pad"(%x) {pads = ["1", "1"]} : (tensor<3x4xf32>) -> tensor<3x6xf32>
  return
}

// -----

func.func @reflects_too_far(%x: tensor<3xf32>) {
  // expected-error @+1 {{pad 3 is too large for size 3 of dimension 0}}
  %0 = "graph.reflection_pad"(%x) {pads = ["3", "0"]} : (tensor<3xf32>) -> tensor<6xf32>
  return
}

// -----

func.func @part_of_another_shape(%x: tensor<3x4xf32>, %y: tensor<3x4xf32>) {
  // expected-error @+1 {{src must have shape [3, 2], got float32[3, 4]}}
  %0 = "graph.slice_scatter"(%x, %y) {dim = 1 : i64, start = "0", end = "2", step = 1 : i64} : (tensor<3x4xf32>, tensor<3x4xf32>) -> tensor<3x4xf32>
  return
}

// -----

func.func @other_diagonal(%x: tensor<3x4xf32>, %y: tensor<4xf32>) {
  // expected-error @+1 {{src must have shape [3], got float32[4]}}
  %0 = "graph.diagonal_scatter"(%x, %y) {offset = 0 : i64, dim1 = 0 : i64, dim2 = 1 : i64} : (tensor<3x4xf32>, tensor<4xf32>) -> tensor<3x4xf32>
  return
}
