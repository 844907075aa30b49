// RUN: stepwell-opt %s --plan-buffers --split-input-file | FileCheck %s
// RUN: stepwell-opt %s --plan-buffers --plan-buffers --split-input-file | FileCheck %s

// A chain needs two slots, whatever its length; the last result is written where the caller wants it.
// CHECK-LABEL: func.func @main
// CHECK-SAME: attributes {stepwell.arena = "128"}
// CHECK: placements = [{offset = "0", space = "arena"}]
// CHECK: placements = [{offset = "64", space = "arena"}]
// CHECK: placements = [{offset = "0", space = "arena"}]
// CHECK: placements = [{index = 0 : i64, space = "result"}]
func.func @main(%x: tensor<16xf32>) -> tensor<16xf32> {
  %0 = "plan.launch"(%x) {kernel = @k0::@k0, sizes = [],
      operandSegmentSizes = array<i32: 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0>,
      resultSegmentSizes = array<i32: 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0>} : (tensor<16xf32>) -> tensor<16xf32>
  %1 = "plan.launch"(%0) {kernel = @k0::@k0, sizes = [],
      operandSegmentSizes = array<i32: 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0>,
      resultSegmentSizes = array<i32: 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0>} : (tensor<16xf32>) -> tensor<16xf32>
  %2 = "plan.launch"(%1) {kernel = @k0::@k0, sizes = [],
      operandSegmentSizes = array<i32: 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0>,
      resultSegmentSizes = array<i32: 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0>} : (tensor<16xf32>) -> tensor<16xf32>
  %3 = "plan.launch"(%2) {kernel = @k0::@k0, sizes = [],
      operandSegmentSizes = array<i32: 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0>,
      resultSegmentSizes = array<i32: 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0>} : (tensor<16xf32>) -> tensor<16xf32>
  return %3 : tensor<16xf32>
}

// -----

// A tensor that is returned twice is written to one result; the other is copied at the end.
// CHECK-LABEL: func.func @main
// CHECK-SAME: attributes {stepwell.arena = "0"}
// CHECK: placements = [{index = 0 : i64, space = "result"}]
func.func @main(%x: tensor<16xf32>) -> (tensor<16xf32>, tensor<16xf32>) {
  %0 = "plan.launch"(%x) {kernel = @k0::@k0, sizes = [],
      operandSegmentSizes = array<i32: 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0>,
      resultSegmentSizes = array<i32: 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0>} : (tensor<16xf32>) -> tensor<16xf32>
  return %0, %0 : tensor<16xf32>, tensor<16xf32>
}

// -----

// A view keeps what it views alive, and symbolic sizes share a slot.
// CHECK-LABEL: func.func @main
// CHECK-SAME: attributes {stepwell.arena = "{{.*}}s0{{.*}}"}
// CHECK: placements = [{offset = "0", space = "arena"}]
// CHECK: placements = [{offset = "[[SECOND:.*]]", space = "arena"}]
// CHECK: placements = [{index = 0 : i64, space = "result"}]
func.func @main(%x: tensor<?xf32, ["s0"]>) -> tensor<?xf32, ["s0"]> {
  %0 = "plan.launch"(%x) {kernel = @k0::@k0, sizes = ["s0"],
      operandSegmentSizes = array<i32: 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0>,
      resultSegmentSizes = array<i32: 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0>} : (tensor<?xf32, ["s0"]>) -> tensor<?xf32, ["s0"]>
  %1 = "plan.view"(%0) : (tensor<?xf32, ["s0"]>) -> tensor<?x1xf32, ["s0"]>
  %2 = "plan.view"(%1) : (tensor<?x1xf32, ["s0"]>) -> tensor<?xf32, ["s0"]>
  %3 = "plan.launch"(%x) {kernel = @k0::@k0, sizes = ["s0"],
      operandSegmentSizes = array<i32: 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0>,
      resultSegmentSizes = array<i32: 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0>} : (tensor<?xf32, ["s0"]>) -> tensor<?xf32, ["s0"]>
  %4 = "plan.launch"(%2, %3) {kernel = @k1::@k1, sizes = ["s0"],
      operandSegmentSizes = array<i32: 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0>,
      resultSegmentSizes = array<i32: 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0>} : (tensor<?xf32, ["s0"]>, tensor<?xf32, ["s0"]>) -> tensor<?xf32, ["s0"]>
  return %4 : tensor<?xf32, ["s0"]>
}

// -----

// Kernels are not its business.
// CHECK-LABEL: module @k0
// CHECK-NEXT: func.func @k0(%{{.*}}: tensor<4xf32>) -> tensor<4xf32> {
module @k0 {
  func.func @k0(%x: tensor<4xf32>) -> tensor<4xf32> {
    return %x : tensor<4xf32>
  }
}
