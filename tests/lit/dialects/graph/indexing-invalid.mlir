// RUN: stepwell-opt %s --split-input-file --verify-diagnostics

func.func @float_positions(%x: tensor<4x5xf32>, %i: tensor<3xf32>) {
  // expected-error @+1 {{indices must be int64 or int32, got float32[3]}}
  %0 = "graph.embedding"(%x, %i) : (tensor<4x5xf32>, tensor<3xf32>) -> tensor<3x5xf32>
  return
}

// -----

func.func @no_matrix(%x: tensor<4xf32>, %i: tensor<3xi64>) {
  // expected-error @+1 {{weight must be a matrix, got float32[4]}}
  %0 = "graph.embedding"(%x, %i) : (tensor<4xf32>, tensor<3xi64>) -> tensor<3xf32>
  return
}

// -----

func.func @matrix_of_positions(%x: tensor<4x5xf32>, %i: tensor<3x3xi64>) {
  // expected-error @+1 {{index must have rank 1, got int64[3, 3]}}
  %0 = "graph.index_select"(%x, %i) {dim = 0 : i64} : (tensor<4x5xf32>, tensor<3x3xi64>) -> tensor<3x5xf32>
  return
}

// -----

func.func @index_too_long(%x: tensor<4x5xf32>, %i: tensor<3x6xi64>) {
  // expected-error @+1 {{index has size 6 at dimension 1, more than 5 of float32[4, 5]}}
  %0 = "graph.gather"(%x, %i) {dim = 0 : i64} : (tensor<4x5xf32>, tensor<3x6xi64>) -> tensor<3x6xf32>
  return
}

// -----

func.func @dims_not_increasing(%x: tensor<4x5xf32>, %i: tensor<3xi64>) {
  // expected-error @+1 {{needs one index per increasing dimension, got 2 for dims [1, 0]}}
  %0 = "graph.index"(%x, %i, %i) {dims = array<i64: 1, 0>, operandSegmentSizes = array<i32: 1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0>} : (tensor<4x5xf32>, tensor<3xi64>, tensor<3xi64>) -> tensor<3xf32>
  return
}

// -----

func.func @values_do_not_fit(%x: tensor<4x5xf32>, %i: tensor<3xi64>, %v: tensor<2x5xf32>) {
  // expected-error @+1 {{sizes 2 and 3 at dimension 0 do not broadcast}}
  %0 = "graph.index_put"(%x, %v, %i) {dims = array<i64: 0>, accumulate = false, operandSegmentSizes = array<i32: 1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0>} : (tensor<4x5xf32>, tensor<2x5xf32>, tensor<3xi64>) -> tensor<4x5xf32>
  return
}

// -----

func.func @no_classes(%i: tensor<3xi64>) {
  // expected-error @+1 {{needs at least one class, got 0}}
  %0 = "graph.one_hot"(%i) {classes = 0 : i64} : (tensor<3xi64>) -> tensor<3x0xi64>
  return
}

// -----

func.func @source_too_short(%x: tensor<4x5xf32>, %i: tensor<3x5xi64>, %v: tensor<2x5xf32>) {
  // expected-error @+1 {{index has size 3 at dimension 0, more than 2 of src}}
  %0 = "graph.scatter"(%x, %i, %v) {dim = 0 : i64} : (tensor<4x5xf32>, tensor<3x5xi64>, tensor<2x5xf32>) -> tensor<4x5xf32>
  return
}

// -----

func.func @unknown_reduction(%x: tensor<4xf32>, %i: tensor<3xi64>, %v: tensor<3xf32>) {
  // expected-error @+1 {{reduce must be one of sum, prod, mean, amax, amin, got 'add'}}
  %0 = "graph.scatter_reduce"(%x, %i, %v) {dim = 0 : i64, reduce = "add", include_self = true} : (tensor<4xf32>, tensor<3xi64>, tensor<3xf32>) -> tensor<4xf32>
  return
}

// -----

func.func @mask_of_another_shape(%x: tensor<4xf32>, %m: tensor<3xi1>) {
  // expected-error @+1 {{mask must be bool of the operand's shape, got bool[3] for float32[4]}}
  %0 = "graph.masked_scatter"(%x, %m, %x) : (tensor<4xf32>, tensor<3xi1>, tensor<4xf32>) -> tensor<4xf32>
  return
}
