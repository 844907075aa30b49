// RUN: stepwell-opt %s | stepwell-opt | FileCheck %s

// CHECK-LABEL: func.func @constants
func.func @constants() -> (tensor<f32>, tensor<i64>, tensor<i1>, tensor<ui8>) {
  // CHECK: "graph.constant"() {dtype = "float32", value = 2.500000e+00 : f64} : () -> tensor<f32>
  %0 = "graph.constant"() {value = 2.5 : f64, dtype = "float32"} : () -> tensor<f32>
  // CHECK: "graph.constant"() {dtype = "int64", value = -3 : i64} : () -> tensor<i64>
  %1 = "graph.constant"() {value = -3 : i64, dtype = "int64"} : () -> tensor<i64>
  // CHECK: "graph.constant"() {dtype = "bool", value = true} : () -> tensor<i1>
  %2 = "graph.constant"() {value = true, dtype = "bool"} : () -> tensor<i1>
  // CHECK: "graph.constant"() {dtype = "uint8", value = 200 : i64} : () -> tensor<ui8>
  %3 = "graph.constant"() {value = 200 : i64, dtype = "uint8"} : () -> tensor<ui8>
  return %0, %1, %2, %3 : tensor<f32>, tensor<i64>, tensor<i1>, tensor<ui8>
}

// CHECK-LABEL: func.func @sizes
func.func @sizes(%x: tensor<?xf32, ["s0"]>) -> (tensor<?x3xf32, ["2*s0 + 1"]>, tensor<?xf16, ["s0"]>) {
  %value = "graph.constant"() {value = 1.0 : f64, dtype = "float32"} : () -> tensor<f32>
  // CHECK: "graph.full"(%{{.*}}) {sizes = ["2*s0 + 1", "3"]} : (tensor<f32>) -> tensor<?x3xf32, ["2*s0 + 1"]>
  %0 = "graph.full"(%value) {sizes = ["2*s0 + 1", "3"]} : (tensor<f32>) -> tensor<?x3xf32, ["2*s0 + 1"]>
  // CHECK: "graph.size"() {value = "s0 - 1"} : () -> tensor<i64>
  %start = "graph.size"() {value = "s0 - 1"} : () -> tensor<i64>
  // CHECK: "graph.arange"(%{{.*}}, %{{.*}}) {dtype = "float16", sizes = ["s0"]}
  %1 = "graph.arange"(%start, %start) {sizes = ["s0"], dtype = "float16"} : (tensor<i64>, tensor<i64>) -> tensor<?xf16, ["s0"]>
  return %0, %1 : tensor<?x3xf32, ["2*s0 + 1"]>, tensor<?xf16, ["s0"]>
}
