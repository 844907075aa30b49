// RUN: stepwell-opt %s | stepwell-opt --verify-graph | FileCheck %s

// CHECK-LABEL: func.func @main
func.func @main(%n: tensor<i64>, %x: tensor<?xf32, ["s0"]>) -> tensor<?xf32, ["u0"]> {
  // CHECK: "graph.bind_size"(%{{.*}}) {checks = [{expr = "s0 - 2*u0", minimum = 0 : i64, text = "2*u0 <= s0"}], label = "u0", maximum = "s0", minimum = "0"} : (tensor<i64>) -> ()
  "graph.bind_size"(%n) {label = "u0", minimum = "0", maximum = "s0", checks = [{expr = "s0 - 2*u0", minimum = 0 : i64, text = "2*u0 <= s0"}]} : (tensor<i64>) -> ()
  %0 = "graph.slice"(%x) {dim = 0 : i64, start = "0", end = "u0", step = 1 : i64} : (tensor<?xf32, ["s0"]>) -> tensor<?xf32, ["u0"]>
  return %0 : tensor<?xf32, ["u0"]>
}
