// RUN: stepwell-opt %s | stepwell-opt | FileCheck %s

// CHECK-LABEL: func.func @over_dynamic_rows
func.func @over_dynamic_rows(%x: tensor<?x8xf32, ["s0"]>) -> (tensor<?xf32, ["s0"]>, tensor<?x1xi1, ["s0"]>) {
  // CHECK: "graph.sum"(%{{.*}}) {dims = array<i64: 1>, keepdim = false} : (tensor<?x8xf32, ["s0"]>) -> tensor<?xf32, ["s0"]>
  %0 = "graph.sum"(%x) {dims = array<i64: 1>, keepdim = false} : (tensor<?x8xf32, ["s0"]>) -> tensor<?xf32, ["s0"]>
  // CHECK: "graph.any"
  %1 = "graph.any"(%x) {dims = array<i64: 1>, keepdim = true} : (tensor<?x8xf32, ["s0"]>) -> tensor<?x1xi1, ["s0"]>
  return %0, %1 : tensor<?xf32, ["s0"]>, tensor<?x1xi1, ["s0"]>
}

// CHECK-LABEL: func.func @position_of_largest
func.func @position_of_largest(%x: tensor<4x8xf32>) -> tensor<4xi64> {
  // CHECK: "graph.max_dim"
  %0, %1 = "graph.max_dim"(%x) {dim = 1 : i64, keepdim = false} : (tensor<4x8xf32>) -> (tensor<4xf32>, tensor<4xi64>)
  return %1 : tensor<4xi64>
}
