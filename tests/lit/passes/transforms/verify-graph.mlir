// RUN: stepwell-opt %s --verify-graph | FileCheck %s
// RUN: stepwell-opt %s --verify-graph --verify-graph | FileCheck %s

// The stage is marked, and nothing else changes.
// CHECK: module attributes {stepwell.stage = "graph"}
// CHECK-LABEL: func.func @main(
// CHECK-SAME: tensor<?x4xf32, ["s0"]>
// CHECK-NEXT: "graph.relu"
// CHECK-NEXT: return
func.func @main(%x: tensor<?x4xf32, ["s0"]>) -> tensor<?x4xf32, ["s0"]> {
  %0 = "graph.relu"(%x) : (tensor<?x4xf32, ["s0"]>) -> tensor<?x4xf32, ["s0"]>
  return %0 : tensor<?x4xf32, ["s0"]>
}
