// RUN: stepwell-opt %s "--pass-pipeline=builtin.module(func.func(lower-read-size))" --split-input-file | FileCheck %s

// A number beyond the bounds becomes the bound, over sizes of arguments and numbers read before.
// CHECK-LABEL: func.func @main
// CHECK: %[[S0:.*]] = tensor.dim
// CHECK: %[[N:.*]] = tensor.extract %{{.*}}[] : tensor<i64>
// CHECK: %[[I:.*]] = arith.index_cast %[[N]] : i64 to index
// CHECK: %[[LOW:.*]] = arith.minsi %[[I]], %[[S0]]
// CHECK: %[[U0:.*]] = arith.maxsi %[[LOW]], %{{.*}}
// CHECK: arith.minsi %{{.*}}, %[[U0]]
// CHECK-NOT: plan.read_size
func.func @main(%x: tensor<?xf32> {stepwell.sizes = ["s0"]}, %n: tensor<i64>, %m: tensor<i64>) -> tensor<?x?xf32> {
  %u0 = "plan.read_size"(%n) {label = "u0", minimum = "0", maximum = "s0"} : (tensor<i64>) -> index
  %u1 = "plan.read_size"(%m) {label = "u1", maximum = "u0"} : (tensor<i64>) -> index
  %0 = tensor.empty(%u0, %u1) : tensor<?x?xf32>
  return %0 : tensor<?x?xf32>
}

// -----

// Nothing to read, nothing to do.
// CHECK-LABEL: func.func @main
// CHECK-NEXT: return
func.func @main(%x: tensor<?xf32> {stepwell.sizes = ["s0"]}) -> tensor<?xf32> {
  return %x : tensor<?xf32>
}
