// RUN: stepwell-opt %s --split-input-file --convert-graph-to-linalg | FileCheck %s

// Dimensions that merge are collapsed, dimensions that part are expanded; others stay.
// CHECK-LABEL: func.func @reshape
// CHECK-SAME: %[[X:.*]]: tensor<?x8x6xf32>
// CHECK: %[[FLAT:.*]] = tensor.collapse_shape %[[X]] {{\[}}[0], [1, 2]] : tensor<?x8x6xf32> into tensor<?x48xf32>
// CHECK: tensor.expand_shape %[[FLAT]] {{\[}}[0], [1, 2]] output_shape [%{{.*}}, 4, 12] : tensor<?x48xf32> into tensor<?x4x12xf32>
func.func @reshape(%x: tensor<?x8x6xf32, ["s0"]>) -> tensor<?x4x12xf32, ["s0"]> {
  %0 = "graph.reshape"(%x) {sizes = ["s0", "4", "12"]} : (tensor<?x8x6xf32, ["s0"]>) -> tensor<?x4x12xf32, ["s0"]>
  return %0 : tensor<?x4x12xf32, ["s0"]>
}

// -----

// CHECK-LABEL: func.func @reshape_of_units
// CHECK-NOT: linalg
// CHECK: tensor.collapse_shape %{{.*}} [] : tensor<1x1xf32> into tensor<f32>
func.func @reshape_of_units(%x: tensor<1x1xf32>) -> tensor<f32> {
  %0 = "graph.reshape"(%x) {sizes = []} : (tensor<1x1xf32>) -> tensor<f32>
  return %0 : tensor<f32>
}

// -----

// A tensor without elements is made anew.
// CHECK-LABEL: func.func @reshape_of_nothing
// CHECK: %[[E:.*]] = tensor.empty() : tensor<5x0xf32>
// CHECK: return %[[E]]
func.func @reshape_of_nothing(%x: tensor<0x3xf32>) -> tensor<5x0xf32> {
  %0 = "graph.reshape"(%x) {sizes = ["5", "0"]} : (tensor<0x3xf32>) -> tensor<5x0xf32>
  return %0 : tensor<5x0xf32>
}

// -----

// CHECK: #[[READ:.*]] = affine_map<(d0, d1, d2) -> (d1, d2, d0)>
// CHECK-LABEL: func.func @permute
// CHECK: linalg.generic {indexing_maps = [#[[READ]],
// CHECK: linalg.yield %in
func.func @permute(%x: tensor<2x3x4xi64>) -> tensor<4x2x3xi64> {
  %0 = "graph.permute"(%x) {dims = array<i64: 2, 0, 1>} : (tensor<2x3x4xi64>) -> tensor<4x2x3xi64>
  return %0 : tensor<4x2x3xi64>
}

// -----

// Only a unit moves, so the elements keep their order.
// CHECK-LABEL: func.func @permute_of_unit
// CHECK-NOT: linalg.generic
// CHECK: tensor.expand_shape
func.func @permute_of_unit(%x: tensor<1x3x4xf32>) -> tensor<3x1x4xf32> {
  %0 = "graph.permute"(%x) {dims = array<i64: 1, 0, 2>} : (tensor<1x3x4xf32>) -> tensor<3x1x4xf32>
  return %0 : tensor<3x1x4xf32>
}

// -----

// CHECK-LABEL: func.func @slice
// CHECK: tensor.extract_slice %{{.*}}[0, 1] [%{{.*}}, 3] [1, 2] : tensor<?x8xf32> to tensor<?x3xf32>
func.func @slice(%x: tensor<?x8xf32, ["s0"]>) -> tensor<?x3xf32, ["s0"]> {
  %0 = "graph.slice"(%x) {dim = 1 : i64, start = "1", end = "7", step = 2 : i64} : (tensor<?x8xf32, ["s0"]>) -> tensor<?x3xf32, ["s0"]>
  return %0 : tensor<?x3xf32, ["s0"]>
}

// -----

// CHECK: #[[WINDOW:.*]] = affine_map<(d0, d1) -> (d0 * 3 + d1 * 2)>
// CHECK-LABEL: func.func @unfold
// What no window reaches is cut off.
// CHECK: tensor.extract_slice %{{.*}}[0] [9] [1]
// CHECK: linalg.generic {indexing_maps = [#[[WINDOW]],
func.func @unfold(%x: tensor<11xf32>) -> tensor<3x2xf32> {
  %0 = "graph.unfold"(%x) {dim = 0 : i64, size = 2 : i64, step = 3 : i64, dilation = 2 : i64} : (tensor<11xf32>) -> tensor<3x2xf32>
  return %0 : tensor<3x2xf32>
}

// -----

// Reversed reads have no map with a symbolic size, so the position is computed.
// CHECK-LABEL: func.func @flip
// CHECK: linalg.generic
// CHECK: %[[I:.*]] = linalg.index 0
// CHECK: %[[R:.*]] = arith.subi %{{.*}}, %[[I]]
// CHECK: tensor.extract %{{.*}}[%[[R]]]
func.func @flip(%x: tensor<?xf32, ["n"]>) -> tensor<?xf32, ["n"]> {
  %0 = "graph.flip"(%x) {dims = array<i64: 0>} : (tensor<?xf32, ["n"]>) -> tensor<?xf32, ["n"]>
  return %0 : tensor<?xf32, ["n"]>
}

// -----

// CHECK-LABEL: func.func @parts
// CHECK: tensor.concat dim(0)
// A negative pad crops.
// CHECK: %[[CROPPED:.*]] = tensor.extract_slice %{{.*}}[1, 0] [5, 4] [1, 1]
// CHECK: tensor.pad %[[CROPPED]] low[0, 0] high[2, 0]
// CHECK: tensor.insert_slice
func.func @parts(%x: tensor<3x4xf32>, %y: tensor<2x4xf32>) -> tensor<7x4xf32> {
  %0 = "graph.cat"(%x, %x) {dim = 0 : i64, operandSegmentSizes = array<i32: 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0>} : (tensor<3x4xf32>, tensor<3x4xf32>) -> tensor<6x4xf32>
  %1 = "graph.constant_pad_nd"(%0) {pads = ["-1", "2", "0", "0"], value = 1.5 : f64} : (tensor<6x4xf32>) -> tensor<7x4xf32>
  %2 = "graph.slice_scatter"(%1, %y) {dim = 0 : i64, start = "0", end = "4", step = 2 : i64} : (tensor<7x4xf32>, tensor<2x4xf32>) -> tensor<7x4xf32>
  return %2 : tensor<7x4xf32>
}

// -----

// What holds no graph op is left alone.
// CHECK-LABEL: func.func @untouched
// CHECK-NEXT: return %arg0
func.func @untouched(%x: tensor<3xf32>) -> tensor<3xf32> {
  return %x : tensor<3xf32>
}
