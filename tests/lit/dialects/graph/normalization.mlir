// RUN: stepwell-opt %s | stepwell-opt | FileCheck %s

// CHECK-LABEL: func.func @rows
func.func @rows(%x: tensor<?x8xf32, ["s0"]>, %w: tensor<8xf32>) -> (tensor<?x8xf32, ["s0"]>, tensor<?x8xf32, ["s0"]>) {
  // CHECK: "graph.softmax"
  %0 = "graph.softmax"(%x) {dim = 1 : i64} : (tensor<?x8xf32, ["s0"]>) -> tensor<?x8xf32, ["s0"]>
  // CHECK: "graph.layer_norm"
  %1, %2, %3 = "graph.layer_norm"(%0, %w) {dims = 1 : i64, eps = 1.0e-5 : f64, operandSegmentSizes = array<i32: 1, 1, 0>} : (tensor<?x8xf32, ["s0"]>, tensor<8xf32>) -> (tensor<?x8xf32, ["s0"]>, tensor<?x1xf32, ["s0"]>, tensor<?x1xf32, ["s0"]>)
  return %0, %1 : tensor<?x8xf32, ["s0"]>, tensor<?x8xf32, ["s0"]>
}
