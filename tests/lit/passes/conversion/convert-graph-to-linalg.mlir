// RUN: stepwell-opt %s --convert-graph-to-linalg --split-input-file | FileCheck %s

// Size names leave the types, and become an attribute of the argument.
// CHECK-LABEL: func.func @dynamic_rows
// CHECK-SAME: tensor<?x8xf32> {stepwell.sizes = ["n"]}
func.func @dynamic_rows(%x: tensor<?x8xf32, ["n"]>) -> tensor<?xf32, ["n"]> {
  // CHECK: tensor.dim
  // CHECK: linalg.fill
  // CHECK: linalg.generic {{.*}}iterator_types = ["parallel", "reduction"]
  // CHECK: arith.addf
  %0 = "graph.sum"(%x) {dims = array<i64: 1>, keepdim = false} : (tensor<?x8xf32, ["n"]>) -> tensor<?xf32, ["n"]>
  return %0 : tensor<?xf32, ["n"]>
}

// -----

// A 16-bit product accumulates in float32 and is rounded once.
// CHECK-LABEL: func.func @product
func.func @product(%x: tensor<4x8xf16>, %y: tensor<8x5xf16>) -> tensor<4x5xf16> {
  // CHECK: linalg.generic {{.*}}iterator_types = ["parallel", "parallel", "reduction"]
  // CHECK: arith.extf %{{.*}} : f16 to f32
  // CHECK: arith.addf {{.*}} : f32
  // CHECK: arith.truncf {{.*}} : f32 to f16
  %0 = "graph.matmul"(%x, %y) : (tensor<4x8xf16>, tensor<8x5xf16>) -> tensor<4x5xf16>
  return %0 : tensor<4x5xf16>
}

// -----

// CHECK-DAG: affine_map<(d0, d1, d2, d3, d4) -> (d0, d3, d2 * 2 + d4)>
// CHECK-LABEL: func.func @window
func.func @window(%x: tensor<1x4x9xf32>, %w: tensor<6x4x3xf32>) -> tensor<1x6x5xf32> {
  // CHECK: tensor.pad %{{.*}} low[0, 0, 1] high[0, 0, 1]
  // CHECK: linalg.generic
  %0 = "graph.convolution"(%x, %w) {stride = array<i64: 2>, padding = array<i64: 1>, dilation = array<i64: 1>, groups = 1 : i64, operandSegmentSizes = array<i32: 1, 1, 0>} : (tensor<1x4x9xf32>, tensor<6x4x3xf32>) -> tensor<1x6x5xf32>
  return %0 : tensor<1x6x5xf32>
}

// -----

// CHECK-LABEL: func.func @rows
func.func @rows(%x: tensor<4x8xf32>) -> tensor<4x8xf32> {
  // CHECK: arith.maximumf
  // CHECK: math.exp
  // CHECK: arith.divf
  %0 = "graph.softmax"(%x) {dim = 1 : i64} : (tensor<4x8xf32>) -> tensor<4x8xf32>
  return %0 : tensor<4x8xf32>
}

// -----

// A function without graph ops is left alone.
// CHECK-LABEL: func.func @lowered_already
func.func @lowered_already(%x: tensor<4xf32>) -> tensor<4xf32> {
  // CHECK-NEXT: math.exp
  // CHECK-NEXT: return
  %0 = math.exp %x : tensor<4xf32>
  return %0 : tensor<4xf32>
}
