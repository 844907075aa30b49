// RUN: stepwell-opt %s --graph-simplify --split-input-file | FileCheck %s

// CHECK-LABEL: func.func @round_trip_through_wider_type
func.func @round_trip_through_wider_type(%x: tensor<4xf16>) -> tensor<4xf16> {
  // CHECK-NEXT: return %arg0
  %0 = "graph.convert"(%x) {dtype = "float32"} : (tensor<4xf16>) -> tensor<4xf32>
  %1 = "graph.convert"(%0) {dtype = "float16"} : (tensor<4xf32>) -> tensor<4xf16>
  return %1 : tensor<4xf16>
}

// -----

// CHECK-LABEL: func.func @round_trip_that_rounds
func.func @round_trip_that_rounds(%x: tensor<4xf32>) -> tensor<4xf32> {
  // CHECK-COUNT-2: "graph.convert"
  %0 = "graph.convert"(%x) {dtype = "float16"} : (tensor<4xf32>) -> tensor<4xf16>
  %1 = "graph.convert"(%0) {dtype = "float32"} : (tensor<4xf16>) -> tensor<4xf32>
  return %1 : tensor<4xf32>
}

// -----

// CHECK-LABEL: func.func @reshapes_and_permutes
func.func @reshapes_and_permutes(%x: tensor<2x3x4xf32>) -> (tensor<24xf32>, tensor<4x2x3xf32>) {
  // CHECK-DAG: %[[FLAT:.*]] = "graph.reshape"(%arg0) {sizes = ["24"]}
  // CHECK-DAG: %[[TURNED:.*]] = "graph.permute"(%arg0) {dims = array<i64: 2, 0, 1>}
  // CHECK: return %[[FLAT]], %[[TURNED]]
  %0 = "graph.reshape"(%x) {sizes = ["6", "4"]} : (tensor<2x3x4xf32>) -> tensor<6x4xf32>
  %1 = "graph.reshape"(%0) {sizes = ["24"]} : (tensor<6x4xf32>) -> tensor<24xf32>
  %2 = "graph.permute"(%x) {dims = array<i64: 0, 2, 1>} : (tensor<2x3x4xf32>) -> tensor<2x4x3xf32>
  %3 = "graph.permute"(%2) {dims = array<i64: 1, 0, 2>} : (tensor<2x4x3xf32>) -> tensor<4x2x3xf32>
  return %1, %3 : tensor<24xf32>, tensor<4x2x3xf32>
}

// -----

// CHECK-LABEL: func.func @multiply_by_one
func.func @multiply_by_one(%x: tensor<4xf32>) -> (tensor<4xf32>, tensor<4xf32>) {
  // CHECK: %[[SUM:.*]] = "graph.add"
  // CHECK: return %arg0, %[[SUM]]
  %0 = "graph.constant"() {dtype = "float32", value = 1.0 : f64} : () -> tensor<f32>
  %1 = "graph.mul"(%x, %0) : (tensor<4xf32>, tensor<f32>) -> tensor<4xf32>
  // Adding zero is not the identity: it turns -0.0 into 0.0.
  %2 = "graph.constant"() {dtype = "float32", value = 0.0 : f64} : () -> tensor<f32>
  %3 = "graph.add"(%x, %2) : (tensor<4xf32>, tensor<f32>) -> tensor<4xf32>
  return %1, %3 : tensor<4xf32>, tensor<4xf32>
}

// -----

// What a concatenation has put together is taken back: all of an operand, or part of one.
// CHECK-LABEL: func.func @slices_of_concatenation
func.func @slices_of_concatenation(%x: tensor<?x3xf32, ["n"]>, %y: tensor<?x4xf32, ["n"]>)
    -> (tensor<?x4xf32, ["n"]>, tensor<?x2xf32, ["n"]>, tensor<?x3xf32, ["n"]>) {
  // CHECK-NEXT: %[[BOTH:.*]] = "graph.cat"(%arg0, %arg1)
  // CHECK-NEXT: %[[PART:.*]] = "graph.slice"(%arg0) {dim = 1 : i64, end = "3", start = "1", step = 1 : i64}
  // CHECK-NEXT: %[[ACROSS:.*]] = "graph.slice"(%[[BOTH]])
  // CHECK-NEXT: return %arg1, %[[PART]], %[[ACROSS]]
  %0 = "graph.cat"(%x, %y) {dim = 1 : i64, operandSegmentSizes = array<i32: 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0>} : (tensor<?x3xf32, ["n"]>, tensor<?x4xf32, ["n"]>) -> tensor<?x7xf32, ["n"]>
  %1 = "graph.slice"(%0) {dim = 1 : i64, end = "7", start = "3", step = 1 : i64} : (tensor<?x7xf32, ["n"]>) -> tensor<?x4xf32, ["n"]>
  %2 = "graph.slice"(%0) {dim = 1 : i64, end = "3", start = "1", step = 1 : i64} : (tensor<?x7xf32, ["n"]>) -> tensor<?x2xf32, ["n"]>
  %3 = "graph.slice"(%0) {dim = 1 : i64, end = "5", start = "2", step = 1 : i64} : (tensor<?x7xf32, ["n"]>) -> tensor<?x3xf32, ["n"]>
  return %1, %2, %3 : tensor<?x4xf32, ["n"]>, tensor<?x2xf32, ["n"]>, tensor<?x3xf32, ["n"]>
}

// -----

// CHECK-LABEL: func.func @batch_norm_of_convolution
func.func @batch_norm_of_convolution(
    %x: tensor<1x2x8x8xf32>, %w: tensor<4x2x3x3xf32> {stepwell.kind = "parameter"},
    %mean: tensor<4xf32>, %var: tensor<4xf32>) -> tensor<1x4x8x8xf32> {
  // CHECK: %[[SCALE:.*]] = "graph.rsqrt"
  // CHECK: %[[COLUMN:.*]] = "graph.reshape"(%[[SCALE]]) {sizes = ["4", "1", "1", "1"]}
  // CHECK: %[[SCALED:.*]] = "graph.mul"(%arg1, %[[COLUMN]])
  // CHECK: %[[BIAS:.*]] = "graph.sub"
  // CHECK: "graph.convolution"(%arg0, %[[SCALED]], %[[BIAS]])
  // CHECK-NOT: "graph.batch_norm"
  %0 = "graph.convolution"(%x, %w) {stride = array<i64: 1, 1>, padding = array<i64: 1, 1>, dilation = array<i64: 1, 1>, groups = 1 : i64, operandSegmentSizes = array<i32: 1, 1, 0>} : (tensor<1x2x8x8xf32>, tensor<4x2x3x3xf32>) -> tensor<1x4x8x8xf32>
  %1 = "graph.batch_norm"(%0, %mean, %var) {eps = 1.0e-5 : f64, operandSegmentSizes = array<i32: 1, 0, 0, 1, 1>} : (tensor<1x4x8x8xf32>, tensor<4xf32>, tensor<4xf32>) -> tensor<1x4x8x8xf32>
  return %1 : tensor<1x4x8x8xf32>
}

// -----

// A weight that the user passes at each call is left alone: scaling it would cost more than it saves.
// CHECK-LABEL: func.func @batch_norm_with_user_weight
func.func @batch_norm_with_user_weight(
    %x: tensor<1x2x8x8xf32>, %w: tensor<4x2x3x3xf32> {stepwell.kind = "user"},
    %mean: tensor<4xf32>, %var: tensor<4xf32>) -> tensor<1x4x8x8xf32> {
  // CHECK: "graph.batch_norm"
  %0 = "graph.convolution"(%x, %w) {stride = array<i64: 1, 1>, padding = array<i64: 1, 1>, dilation = array<i64: 1, 1>, groups = 1 : i64, operandSegmentSizes = array<i32: 1, 1, 0>} : (tensor<1x2x8x8xf32>, tensor<4x2x3x3xf32>) -> tensor<1x4x8x8xf32>
  %1 = "graph.batch_norm"(%0, %mean, %var) {eps = 1.0e-5 : f64, operandSegmentSizes = array<i32: 1, 0, 0, 1, 1>} : (tensor<1x4x8x8xf32>, tensor<4xf32>, tensor<4xf32>) -> tensor<1x4x8x8xf32>
  return %1 : tensor<1x4x8x8xf32>
}
