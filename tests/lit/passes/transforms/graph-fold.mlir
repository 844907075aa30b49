// RUN: stepwell-opt %s --graph-fold --graph-dce --split-input-file | FileCheck %s

// CHECK-LABEL: func.func @scalar_chain
func.func @scalar_chain() -> tensor<f32> {
  // CHECK-NEXT: %[[RESULT:.*]] = "graph.constant"() {dtype = "float32", value = 7.500000e+00 : f64}
  // CHECK-NEXT: return %[[RESULT]]
  %0 = "graph.constant"() {dtype = "float32", value = 2.5 : f64} : () -> tensor<f32>
  %1 = "graph.constant"() {dtype = "float32", value = 3.0 : f64} : () -> tensor<f32>
  %2 = "graph.mul"(%0, %1) : (tensor<f32>, tensor<f32>) -> tensor<f32>
  return %2 : tensor<f32>
}

// -----

// A conversion rounds as the op's own semantics do.
// CHECK-LABEL: func.func @conversion
func.func @conversion() -> tensor<i64> {
  // CHECK-NEXT: "graph.constant"() {dtype = "int64", value = -2 : i64}
  %0 = "graph.constant"() {dtype = "float32", value = -2.75 : f64} : () -> tensor<f32>
  %1 = "graph.convert"(%0) {dtype = "int64"} : (tensor<f32>) -> tensor<i64>
  return %1 : tensor<i64>
}

// -----

// CHECK-LABEL: func.func @depends_on_argument
func.func @depends_on_argument(%x: tensor<f32>) -> tensor<f32> {
  // CHECK: "graph.add"
  %0 = "graph.constant"() {dtype = "float32", value = 1.0 : f64} : () -> tensor<f32>
  %1 = "graph.add"(%x, %0) : (tensor<f32>, tensor<f32>) -> tensor<f32>
  return %1 : tensor<f32>
}
