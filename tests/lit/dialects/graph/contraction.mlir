// RUN: stepwell-opt %s | stepwell-opt | FileCheck %s

// CHECK-LABEL: func.func @products
func.func @products(%x: tensor<?x3x8xf32, ["s0"]>, %w: tensor<4x8xf32>, %b: tensor<4xf32>, %m: tensor<8x5xf32>)
    -> (tensor<?x3x4xf32, ["s0"]>, tensor<?x3x5xf32, ["s0"]>) {
  // CHECK: "graph.linear"(%arg0, %arg1, %arg2)
  %0 = "graph.linear"(%x, %w, %b) {operandSegmentSizes = array<i32: 1, 1, 1>} : (tensor<?x3x8xf32, ["s0"]>, tensor<4x8xf32>, tensor<4xf32>) -> tensor<?x3x4xf32, ["s0"]>
  // CHECK: "graph.matmul"(%arg0, %arg3)
  %1 = "graph.matmul"(%x, %m) : (tensor<?x3x8xf32, ["s0"]>, tensor<8x5xf32>) -> tensor<?x3x5xf32, ["s0"]>
  return %0, %1 : tensor<?x3x4xf32, ["s0"]>, tensor<?x3x5xf32, ["s0"]>
}
