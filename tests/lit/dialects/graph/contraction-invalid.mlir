// RUN: stepwell-opt %s --split-input-file --verify-diagnostics

func.func @columns(%x: tensor<3x8xf32>, %w: tensor<4x7xf32>) {
  // expected-error @+1 {{'graph.linear' op operand has 8 columns and the weight 7}}
  %0 = "graph.linear"(%x, %w) {operandSegmentSizes = array<i32: 1, 1, 0>} : (tensor<3x8xf32>, tensor<4x7xf32>) -> tensor<3x4xf32>
  return
}

// -----

func.func @inner(%x: tensor<3x8xf32>, %y: tensor<7x4xf32>) {
  // expected-error @+1 {{'graph.matmul' op lhs has 8 columns and rhs 7 rows}}
  %0 = "graph.matmul"(%x, %y) : (tensor<3x8xf32>, tensor<7x4xf32>) -> tensor<3x4xf32>
  return
}

// -----

func.func @dtypes(%x: tensor<3x8xf32>, %y: tensor<8x4xf16>) {
  // expected-error @+1 {{operands of 'graph.matmul' must have one dtype, got float32, float16}}
  %0 = "graph.matmul"(%x, %y) : (tensor<3x8xf32>, tensor<8x4xf16>) -> tensor<3x4xf32>
  return
}

// -----

func.func @batch(%x: tensor<2x3x8xf32>, %y: tensor<3x8x4xf32>) {
  // expected-error @+1 {{sizes 2 and 3 at dimension 0 do not broadcast}}
  %0 = "graph.matmul"(%x, %y) : (tensor<2x3x8xf32>, tensor<3x8x4xf32>) -> tensor<2x3x4xf32>
  return
}
