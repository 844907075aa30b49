// RUN: stepwell-opt %s | stepwell-opt | FileCheck %s

// CHECK-LABEL: func.func @strided_image
func.func @strided_image(%x: tensor<?x4x9x9xf32, ["s0"]>, %w: tensor<6x2x3x3xf32>) -> tensor<?x6x5x5xf32, ["s0"]> {
  // CHECK: "graph.convolution"
  %0 = "graph.convolution"(%x, %w) {stride = array<i64: 2, 2>, padding = array<i64: 1, 1>, dilation = array<i64: 1, 1>, groups = 2 : i64, operandSegmentSizes = array<i32: 1, 1, 0>} : (tensor<?x4x9x9xf32, ["s0"]>, tensor<6x2x3x3xf32>) -> tensor<?x6x5x5xf32, ["s0"]>
  return %0 : tensor<?x6x5x5xf32, ["s0"]>
}

// CHECK-LABEL: func.func @upsampled_signal
func.func @upsampled_signal(%x: tensor<1x4x9xf32>, %w: tensor<4x3x4xf32>, %b: tensor<3xf32>) -> tensor<1x3x18xf32> {
  // CHECK: "graph.transposed_convolution"
  %0 = "graph.transposed_convolution"(%x, %w, %b) {stride = array<i64: 2>, padding = array<i64: 1>, dilation = array<i64: 1>, output_padding = array<i64: 0>, groups = 1 : i64, operandSegmentSizes = array<i32: 1, 1, 1>} : (tensor<1x4x9xf32>, tensor<4x3x4xf32>, tensor<3xf32>) -> tensor<1x3x18xf32>
  return %0 : tensor<1x3x18xf32>
}
