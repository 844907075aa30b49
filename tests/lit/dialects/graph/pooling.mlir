// RUN: stepwell-opt %s | stepwell-opt | FileCheck %s

// CHECK-LABEL: func.func @windows
func.func @windows(%x: tensor<?x3x8x9xf32, ["s0"]>) -> (tensor<?x3x4x5xf32, ["s0"]>, tensor<?x3x1x1xf32, ["s0"]>) {
  // CHECK: "graph.max_pool"
  %0 = "graph.max_pool"(%x) {kernel = array<i64: 2, 2>, stride = array<i64: 2, 2>, padding = array<i64: 0, 0>, dilation = array<i64: 1, 1>, ceil_mode = true} : (tensor<?x3x8x9xf32, ["s0"]>) -> tensor<?x3x4x5xf32, ["s0"]>
  // CHECK: "graph.adaptive_avg_pool"
  %1 = "graph.adaptive_avg_pool"(%x) {sizes = array<i64: 1, 1>} : (tensor<?x3x8x9xf32, ["s0"]>) -> tensor<?x3x1x1xf32, ["s0"]>
  return %0, %1 : tensor<?x3x4x5xf32, ["s0"]>, tensor<?x3x1x1xf32, ["s0"]>
}
