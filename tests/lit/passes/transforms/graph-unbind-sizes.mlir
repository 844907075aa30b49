// RUN: stepwell-opt %s --pass-pipeline="builtin.module(func.func(graph-unbind-sizes))" | FileCheck %s

// A number that is used as a value needs no read.
// CHECK-LABEL: func.func @value
// CHECK-NEXT: %[[ONE:.*]] = "graph.constant"() {dtype = "int64", value = 1 : i64}
// CHECK-NEXT: %[[TWO:.*]] = "graph.constant"() {dtype = "int64", value = 2 : i64}
// CHECK-NEXT: %[[M:.*]] = "graph.mul"(%arg0, %[[TWO]])
// CHECK-NEXT: %[[S:.*]] = "graph.add"(%[[ONE]], %[[M]])
// CHECK-NEXT: return %[[S]]
func.func @value(%n: tensor<i64>) -> tensor<i64> {
  "graph.bind_size"(%n) {label = "u0"} : (tensor<i64>) -> ()
  %0 = "graph.size"() {value = "2*u0 + 1"} : () -> tensor<i64>
  return %0 : tensor<i64>
}

// One that is the size of a tensor is read all the same.
// CHECK-LABEL: func.func @size
// CHECK: graph.bind_size
// CHECK-NOT: graph.size
func.func @size(%n: tensor<i64>, %x: tensor<f32>) -> (tensor<?xf32, ["u0"]>, tensor<i64>) {
  "graph.bind_size"(%n) {label = "u0"} : (tensor<i64>) -> ()
  %0 = "graph.full"(%x) {sizes = ["u0"]} : (tensor<f32>) -> tensor<?xf32, ["u0"]>
  %1 = "graph.size"() {value = "u0"} : () -> tensor<i64>
  return %0, %1 : tensor<?xf32, ["u0"]>, tensor<i64>
}

// A read that checks something stays; so does what is no sum of products, or known without a read.
// CHECK-LABEL: func.func @checked
// CHECK: "graph.bind_size"(%arg0) {label = "u0", minimum = "1"}
// CHECK: "graph.bind_size"(%arg0) {label = "u1"}
// CHECK: "graph.size"() {value = "(u1 // 2)"}
// CHECK: "graph.size"() {value = "s0 + 1"}
func.func @checked(%n: tensor<i64>, %s0: index {stepwell.symbol = "s0"}) -> (tensor<i64>, tensor<i64>) {
  "graph.bind_size"(%n) {label = "u0", minimum = "1"} : (tensor<i64>) -> ()
  "graph.bind_size"(%n) {label = "u1"} : (tensor<i64>) -> ()
  %0 = "graph.size"() {value = "(u1 // 2)"} : () -> tensor<i64>
  %1 = "graph.size"() {value = "s0 + 1"} : () -> tensor<i64>
  return %0, %1 : tensor<i64>, tensor<i64>
}
