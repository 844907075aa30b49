// RUN: stepwell-opt %s | stepwell-opt | FileCheck %s

// CHECK-LABEL: func.func @parts
func.func @parts(%x: tensor<?x4xf32, ["s0"]>, %y: tensor<2x4xf32>, %d: tensor<3xf32>) -> (tensor<?x4xf32, ["s0 + 2"]>, tensor<?x4xf32, ["s0 + 1"]>, tensor<?x8xf32, ["s0"]>, tensor<?x7xf32, ["s0"]>, tensor<?x4xf32, ["s0"]>, tensor<2x4xf32>) {
  // CHECK: "graph.cat"
  %0 = "graph.cat"(%x, %y) {dim = 0 : i64, operandSegmentSizes = array<i32: 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0>} : (tensor<?x4xf32, ["s0"]>, tensor<2x4xf32>) -> tensor<?x4xf32, ["s0 + 2"]>
  // CHECK: "graph.constant_pad_nd"
  %1 = "graph.constant_pad_nd"(%x) {pads = ["-1", "2", "0", "0"], value = 1.5 : f64} : (tensor<?x4xf32, ["s0"]>) -> tensor<?x4xf32, ["s0 + 1"]>
  // CHECK: "graph.reflection_pad"
  %2 = "graph.reflection_pad"(%x) {pads = ["0", "0", "1", "3"]} : (tensor<?x4xf32, ["s0"]>) -> tensor<?x8xf32, ["s0"]>
  // CHECK: "graph.replication_pad"
  %3 = "graph.replication_pad"(%x) {pads = ["0", "0", "0", "3"]} : (tensor<?x4xf32, ["s0"]>) -> tensor<?x7xf32, ["s0"]>
  // CHECK: "graph.slice_scatter"
  %4 = "graph.slice_scatter"(%x, %y) {dim = 0 : i64, start = "0", end = "4", step = 2 : i64} : (tensor<?x4xf32, ["s0"]>, tensor<2x4xf32>) -> tensor<?x4xf32, ["s0"]>
  // CHECK: "graph.diagonal_scatter"
  %5 = "graph.slice"(%d) {dim = 0 : i64, start = "0", end = "2", step = 1 : i64} : (tensor<3xf32>) -> tensor<2xf32>
  %6 = "graph.diagonal_scatter"(%y, %5) {offset = 1 : i64, dim1 = 0 : i64, dim2 = 1 : i64} : (tensor<2x4xf32>, tensor<2xf32>) -> tensor<2x4xf32>
  return %0, %1, %2, %3, %4, %6 : tensor<?x4xf32, ["s0 + 2"]>, tensor<?x4xf32, ["s0 + 1"]>, tensor<?x8xf32, ["s0"]>, tensor<?x7xf32, ["s0"]>, tensor<?x4xf32, ["s0"]>, tensor<2x4xf32>
}
