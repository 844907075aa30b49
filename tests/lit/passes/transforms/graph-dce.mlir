// RUN: stepwell-opt %s --graph-dce --split-input-file | FileCheck %s

// CHECK-LABEL: func.func @unused_chain
func.func @unused_chain(%x: tensor<4xf32>) -> tensor<4xf32> {
  // CHECK-NEXT: %[[SUM:.*]] = "graph.add"
  // CHECK-NEXT: return %[[SUM]]
  %0 = "graph.relu"(%x) : (tensor<4xf32>) -> tensor<4xf32>
  %1 = "graph.mul"(%0, %0) : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
  %2 = "graph.add"(%x, %x) : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
  return %2 : tensor<4xf32>
}

// -----

// One used result keeps the op.
// CHECK-LABEL: func.func @one_result_used
func.func @one_result_used(%x: tensor<4x8xf32>) -> tensor<4xi64> {
  // CHECK-NEXT: "graph.max_dim"
  %0, %1 = "graph.max_dim"(%x) {dim = 1 : i64, keepdim = false} : (tensor<4x8xf32>) -> (tensor<4xf32>, tensor<4xi64>)
  return %1 : tensor<4xi64>
}

// -----

// Ops of other dialects are not this pass's business.
// CHECK-LABEL: func.func @foreign_op
func.func @foreign_op() {
  // CHECK-NEXT: arith.constant
  %0 = arith.constant 1 : i32
  return
}
