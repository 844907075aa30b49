// RUN: stepwell-opt %s | stepwell-opt | FileCheck %s

// CHECK-LABEL: func.func @reads
func.func @reads(%x: tensor<4x5x6xf32>, %w: tensor<9x6xf16>, %i: tensor<?xi64, ["n"]>, %j: tensor<2x1xi64>, %g: tensor<2x5x3xi64>) -> (tensor<?x6xf16, ["n"]>, tensor<4x?x6xf32, ["n"]>, tensor<2x5x3xf32>, tensor<2x?x6xf32, ["n"]>, tensor<2x?x5xf32, ["n"]>, tensor<?x7xi64, ["n"]>) {
  // CHECK: "graph.embedding"
  %0 = "graph.embedding"(%w, %i) : (tensor<9x6xf16>, tensor<?xi64, ["n"]>) -> tensor<?x6xf16, ["n"]>
  // CHECK: "graph.index_select"
  %1 = "graph.index_select"(%x, %i) {dim = 1 : i64} : (tensor<4x5x6xf32>, tensor<?xi64, ["n"]>) -> tensor<4x?x6xf32, ["n"]>
  // CHECK: "graph.gather"
  %2 = "graph.gather"(%x, %g) {dim = 0 : i64} : (tensor<4x5x6xf32>, tensor<2x5x3xi64>) -> tensor<2x5x3xf32>
  // Neighbouring dimensions keep their place, others go to the front.
  // CHECK-COUNT-2: "graph.index"
  %3 = "graph.index"(%x, %j, %i) {dims = array<i64: 0, 1>, operandSegmentSizes = array<i32: 1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0>} : (tensor<4x5x6xf32>, tensor<2x1xi64>, tensor<?xi64, ["n"]>) -> tensor<2x?x6xf32, ["n"]>
  %4 = "graph.index"(%x, %j, %i) {dims = array<i64: 0, 2>, operandSegmentSizes = array<i32: 1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0>} : (tensor<4x5x6xf32>, tensor<2x1xi64>, tensor<?xi64, ["n"]>) -> tensor<2x?x5xf32, ["n"]>
  // CHECK: "graph.one_hot"
  %5 = "graph.one_hot"(%i) {classes = 7 : i64} : (tensor<?xi64, ["n"]>) -> tensor<?x7xi64, ["n"]>
  return %0, %1, %2, %3, %4, %5 : tensor<?x6xf16, ["n"]>, tensor<4x?x6xf32, ["n"]>, tensor<2x5x3xf32>, tensor<2x?x6xf32, ["n"]>, tensor<2x?x5xf32, ["n"]>, tensor<?x7xi64, ["n"]>
}

// CHECK-LABEL: func.func @writes
func.func @writes(%x: tensor<4x6xf32>, %i: tensor<3xi64>, %v: tensor<3x6xf32>, %g: tensor<3x6xi64>, %m: tensor<4x6xi1>, %s: tensor<f32>) {
  // CHECK: "graph.index_put"
  %0 = "graph.index_put"(%x, %v, %i) {dims = array<i64: 0>, accumulate = true, operandSegmentSizes = array<i32: 1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0>} : (tensor<4x6xf32>, tensor<3x6xf32>, tensor<3xi64>) -> tensor<4x6xf32>
  // CHECK: "graph.scatter"
  %1 = "graph.scatter"(%x, %g, %s) {dim = 0 : i64} : (tensor<4x6xf32>, tensor<3x6xi64>, tensor<f32>) -> tensor<4x6xf32>
  // CHECK: "graph.scatter_reduce"
  %2 = "graph.scatter_reduce"(%x, %g, %v) {dim = 0 : i64, reduce = "amax", include_self = false} : (tensor<4x6xf32>, tensor<3x6xi64>, tensor<3x6xf32>) -> tensor<4x6xf32>
  // CHECK: "graph.masked_scatter"
  %3 = "graph.masked_scatter"(%x, %m, %v) : (tensor<4x6xf32>, tensor<4x6xi1>, tensor<3x6xf32>) -> tensor<4x6xf32>
  return
}
