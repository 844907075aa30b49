// RUN: stepwell-opt %s | stepwell-opt | FileCheck %s

// CHECK-LABEL: func.func @main
func.func @main(%x: tensor<?x8xf32, ["s0"]>) -> tensor<?xf32, ["8*s0"]> {
  // CHECK: "plan.symbol"(%{{.*}}) {dim = 0 : i64, label = "s0"}
  "plan.symbol"(%x) {label = "s0", dim = 0 : i64} : (tensor<?x8xf32, ["s0"]>) -> ()
  // CHECK: %[[P:.*]] = "plan.prepared"() {index = 0 : i64}
  %0 = "plan.prepared"() {index = 0 : i64} : () -> tensor<8xf32>
  // CHECK: %[[L:.*]] = "plan.launch"(%{{.*}}, %[[P]]) {kernel = @k0::@k0
  %1 = "plan.launch"(%x, %0) {kernel = @k0::@k0, sizes = ["s0"],
      operandSegmentSizes = array<i32: 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0>,
      resultSegmentSizes = array<i32: 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0>} : (tensor<?x8xf32, ["s0"]>, tensor<8xf32>) -> tensor<?x8xf32, ["s0"]>
  // CHECK: "plan.view"(%[[L]])
  %2 = "plan.view"(%1) : (tensor<?x8xf32, ["s0"]>) -> tensor<?xf32, ["8*s0"]>
  return %2 : tensor<?xf32, ["8*s0"]>
}
