// RUN: stepwell-opt %s --split-input-file --verify-diagnostics

func.func @channels(%x: tensor<1x4x9xf32>, %w: tensor<6x3x3xf32>) {
  // expected-error @+1 {{'graph.convolution' op operand has 4 channels, the weight takes 3}}
  %0 = "graph.convolution"(%x, %w) {stride = array<i64: 1>, padding = array<i64: 1>, dilation = array<i64: 1>, groups = 1 : i64, operandSegmentSizes = array<i32: 1, 1, 0>} : (tensor<1x4x9xf32>, tensor<6x3x3xf32>) -> tensor<1x6x9xf32>
  return
}

// -----

func.func @stride_per_dimension(%x: tensor<1x4x9xf32>, %w: tensor<6x4x3xf32>) {
  // expected-error @+1 {{stride [1, 1] does not fit 1 spatial dimensions}}
  %0 = "graph.convolution"(%x, %w) {stride = array<i64: 1, 1>, padding = array<i64: 1>, dilation = array<i64: 1>, groups = 1 : i64, operandSegmentSizes = array<i32: 1, 1, 0>} : (tensor<1x4x9xf32>, tensor<6x4x3xf32>) -> tensor<1x6x9xf32>
  return
}

// -----

func.func @spatial_size(%x: tensor<1x4x9xf32>, %w: tensor<4x3x4xf32>) {
  // expected-error @+1 {{result 0 must be float32[1, 3, 20], got float32[1, 3, 18]}}
  %0 = "graph.transposed_convolution"(%x, %w) {stride = array<i64: 2>, padding = array<i64: 0>, dilation = array<i64: 1>, output_padding = array<i64: 0>, groups = 1 : i64, operandSegmentSizes = array<i32: 1, 1, 0>} : (tensor<1x4x9xf32>, tensor<4x3x4xf32>) -> tensor<1x3x18xf32>
  return
}
