// RUN: stepwell-opt %s --graph-elide-empty --split-input-file | FileCheck %s

// CHECK-LABEL: func.func @nothing
func.func @nothing(%x: tensor<0x?x?xf32, ["n", "n"]>) -> tensor<0x?x?xf32, ["n", "n"]> {
  // CHECK-NEXT: %[[ZERO:.*]] = "graph.constant"() {dtype = "float32", value = 0.000000e+00 : f64} : () -> tensor<f32>
  // CHECK-NEXT: %[[NONE:.*]] = "graph.full"(%[[ZERO]]) {sizes = ["0", "n", "n"]}
  // CHECK-NEXT: return %[[NONE]]
  %0 = "graph.softmax"(%x) {dim = 2 : i64} : (tensor<0x?x?xf32, ["n", "n"]>) -> tensor<0x?x?xf32, ["n", "n"]>
  return %0 : tensor<0x?x?xf32, ["n", "n"]>
}

// -----

// What is computed of no elements may have some.
// CHECK-LABEL: func.func @of_nothing
func.func @of_nothing(%x: tensor<0x4xf32>) -> tensor<4xf32> {
  // CHECK-NEXT: "graph.sum"
  %0 = "graph.sum"(%x) {dims = array<i64: 0>, keepdim = false} : (tensor<0x4xf32>) -> tensor<4xf32>
  return %0 : tensor<4xf32>
}

// -----

// CHECK-LABEL: func.func @known_at_run_time
func.func @known_at_run_time(%x: tensor<?xf32, ["n"]>) -> tensor<?xf32, ["n"]> {
  // CHECK-NEXT: "graph.exp"
  %0 = "graph.exp"(%x) : (tensor<?xf32, ["n"]>) -> tensor<?xf32, ["n"]>
  return %0 : tensor<?xf32, ["n"]>
}
