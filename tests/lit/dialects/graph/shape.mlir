// RUN: stepwell-opt %s | stepwell-opt | FileCheck %s

// CHECK-LABEL: func.func @views
func.func @views(%x: tensor<?x8x6xf32, ["s0"]>) -> (tensor<?x48xf32, ["s0"]>, tensor<6x?x8xf32, ["s0"]>, tensor<2x?x8x6xf32, ["s0"]>, tensor<?x3x6xf32, ["s0 - 1"]>, tensor<?x6xf32, ["s0"]>, tensor<?x3x6x2xf32, ["s0"]>, tensor<3x2xf32>) {
  // CHECK: "graph.reshape"
  %0 = "graph.reshape"(%x) {sizes = ["s0", "48"]} : (tensor<?x8x6xf32, ["s0"]>) -> tensor<?x48xf32, ["s0"]>
  // CHECK: "graph.permute"
  %1 = "graph.permute"(%x) {dims = array<i64: 2, 0, 1>} : (tensor<?x8x6xf32, ["s0"]>) -> tensor<6x?x8xf32, ["s0"]>
  // CHECK: "graph.expand"
  %2 = "graph.expand"(%x) {sizes = ["2", "s0", "8", "6"]} : (tensor<?x8x6xf32, ["s0"]>) -> tensor<2x?x8x6xf32, ["s0"]>
  // CHECK: "graph.slice"
  %3 = "graph.slice"(%x) {dim = 0 : i64, start = "1", end = "s0", step = 1 : i64} : (tensor<?x8x6xf32, ["s0"]>) -> tensor<?x8x6xf32, ["s0 - 1"]>
  %4 = "graph.slice"(%3) {dim = 1 : i64, start = "1", end = "7", step = 2 : i64} : (tensor<?x8x6xf32, ["s0 - 1"]>) -> tensor<?x3x6xf32, ["s0 - 1"]>
  // CHECK: "graph.diagonal"
  %5 = "graph.diagonal"(%x) {offset = -1 : i64, dim1 = 1 : i64, dim2 = 2 : i64} : (tensor<?x8x6xf32, ["s0"]>) -> tensor<?x6xf32, ["s0"]>
  // CHECK: "graph.unfold"
  %6 = "graph.unfold"(%x) {dim = 1 : i64, size = 2 : i64, step = 3 : i64, dilation = 1 : i64} : (tensor<?x8x6xf32, ["s0"]>) -> tensor<?x3x6x2xf32, ["s0"]>
  // CHECK: "graph.flip"
  %7 = "graph.flip"(%x) {dims = array<i64: 0, 2>} : (tensor<?x8x6xf32, ["s0"]>) -> tensor<?x8x6xf32, ["s0"]>
  // CHECK: "graph.as_strided"
  %8 = "graph.as_strided"(%7) {sizes = ["3", "2"], strides = ["1", "6"], offset = "4"} : (tensor<?x8x6xf32, ["s0"]>) -> tensor<3x2xf32>
  return %0, %1, %2, %4, %5, %6, %8 : tensor<?x48xf32, ["s0"]>, tensor<6x?x8xf32, ["s0"]>, tensor<2x?x8x6xf32, ["s0"]>, tensor<?x3x6xf32, ["s0 - 1"]>, tensor<?x6xf32, ["s0"]>, tensor<?x3x6x2xf32, ["s0"]>, tensor<3x2xf32>
}
