// RUN: stepwell-opt %s --convert-graph-to-linalg --verify-linalg --split-input-file | FileCheck %s
// RUN: stepwell-opt %s --graph-fold --graph-simplify --graph-cse --graph-dce --split-input-file | FileCheck %s --check-prefix=GRAPH

// The host reads the number; sizes that depend on it are built behind that, others at the top.  No pass above removes it.
// CHECK-LABEL: func.func @main
// CHECK-SAME: %[[X:.*]]: tensor<?xf32>
// CHECK-SAME: %[[N:.*]]: tensor<i64>
// CHECK: %[[S0:.*]] = tensor.dim %[[X]]
// CHECK: %[[U0:.*]] = "plan.read_size"(%[[N]]) {label = "u0", maximum = "s0", minimum = "0"} : (tensor<i64>) -> index
// CHECK: %[[REST:.*]] = arith.addi %{{.*}}, %{{.*}} : index
// CHECK: tensor.extract_slice %[[X]][%[[U0]]] [%{{.*}}] [1]
// GRAPH-LABEL: func.func @main
// GRAPH: "graph.bind_size"(%{{.*}}) {label = "u0"
func.func @main(%x: tensor<?xf32, ["s0"]>, %n: tensor<i64>) -> tensor<?xf32, ["s0 - u0"]> {
  "graph.bind_size"(%n) {label = "u0", minimum = "0", maximum = "s0"} : (tensor<i64>) -> ()
  %0 = "graph.slice"(%x) {dim = 0 : i64, start = "u0", end = "s0", step = 1 : i64} : (tensor<?xf32, ["s0"]>) -> tensor<?xf32, ["s0 - u0"]>
  return %0 : tensor<?xf32, ["s0 - u0"]>
}

// -----

// Two numbers: a size of both is built behind the second; checks stay with the read.
// CHECK-LABEL: func.func @main
// CHECK: %[[U0:.*]] = "plan.read_size"(%{{.*}}) {label = "u0"}
// CHECK: %[[U1:.*]] = "plan.read_size"(%{{.*}}) {checks = [{{.*}}text = "u0 + u1 == 8"{{.*}}], label = "u1"}
// CHECK: arith.muli %[[U0]], %[[U1]]
func.func @main(%n: tensor<i64>, %m: tensor<i64>, %v: tensor<f32>) -> tensor<?x2xf32, ["u0*u1"]> {
  "graph.bind_size"(%n) {label = "u0"} : (tensor<i64>) -> ()
  "graph.bind_size"(%m) {label = "u1", checks = [{expr = "u0 + u1", minimum = 8 : i64, maximum = 8 : i64, text = "u0 + u1 == 8"}]} : (tensor<i64>) -> ()
  %0 = "graph.full"(%v) {sizes = ["u0*u1", "2"]} : (tensor<f32>) -> tensor<?x2xf32, ["u0*u1"]>
  return %0 : tensor<?x2xf32, ["u0*u1"]>
}
