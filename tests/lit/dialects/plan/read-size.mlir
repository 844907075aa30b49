// RUN: stepwell-opt %s | stepwell-opt --verify-kernels | FileCheck %s

// CHECK-LABEL: func.func @main
func.func @main(%n: tensor<i64>) {
  // CHECK: "plan.read_size"(%{{.*}}) {label = "u0", maximum = "8", minimum = "0"} : (tensor<i64>) -> index
  %0 = "plan.read_size"(%n) {label = "u0", minimum = "0", maximum = "8"} : (tensor<i64>) -> index
  return
}
