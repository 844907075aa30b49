// RUN: stepwell-opt %s --graph-cse --split-input-file | FileCheck %s

// CHECK-LABEL: func.func @equal_chains
func.func @equal_chains(%x: tensor<4xf32>) -> (tensor<4xf32>, tensor<4xf32>) {
  // CHECK-NEXT: %[[RELU:.*]] = "graph.relu"
  // CHECK-NEXT: %[[SUM:.*]] = "graph.add"(%[[RELU]], %{{.*}})
  // CHECK-NEXT: return %[[SUM]], %[[SUM]]
  %0 = "graph.relu"(%x) : (tensor<4xf32>) -> tensor<4xf32>
  %1 = "graph.add"(%0, %x) : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
  %2 = "graph.relu"(%x) : (tensor<4xf32>) -> tensor<4xf32>
  %3 = "graph.add"(%2, %x) : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
  return %1, %3 : tensor<4xf32>, tensor<4xf32>
}

// -----

// CHECK-LABEL: func.func @different_attributes
func.func @different_attributes(%x: tensor<4x4xf32>) -> (tensor<4xf32>, tensor<4xf32>) {
  // CHECK-COUNT-2: "graph.sum"
  %0 = "graph.sum"(%x) {dims = array<i64: 0>, keepdim = false} : (tensor<4x4xf32>) -> tensor<4xf32>
  %1 = "graph.sum"(%x) {dims = array<i64: 1>, keepdim = false} : (tensor<4x4xf32>) -> tensor<4xf32>
  return %0, %1 : tensor<4xf32>, tensor<4xf32>
}

// -----

// Operand order matters, even for an addition.
// CHECK-LABEL: func.func @different_order
func.func @different_order(%x: tensor<4xf32>, %y: tensor<4xf32>) -> (tensor<4xf32>, tensor<4xf32>) {
  // CHECK-COUNT-2: "graph.add"
  %0 = "graph.add"(%x, %y) : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
  %1 = "graph.add"(%y, %x) : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
  return %0, %1 : tensor<4xf32>, tensor<4xf32>
}
