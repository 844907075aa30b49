// RUN: stepwell-opt %s --split-input-file --convert-graph-to-linalg | FileCheck %s

// Reads are structured; a position out of range is reported and read at 0 instead.
// CHECK-LABEL: func.func @embedding
// CHECK-SAME: %[[W:.*]]: tensor<9x6xf32>
// CHECK: linalg.generic
// CHECK: ^bb0(%[[RAW:.*]]: i64, %{{.*}}: f32):
// CHECK: %[[PLACE:.*]] = arith.index_cast %[[RAW]] : i64 to index
// CHECK: %[[OK:.*]] = arith.cmpi ult, %[[PLACE]], %{{.*}} : index
// CHECK: cf.assert %[[OK]], "index-out-of-range: embedding"
// CHECK: %[[SAFE:.*]] = arith.select %[[OK]], %[[PLACE]], %{{.*}} : index
// CHECK: %[[V:.*]] = tensor.extract %[[W]][%[[SAFE]], %{{.*}}]
// CHECK: linalg.yield %[[V]]
func.func @embedding(%w: tensor<9x6xf32>, %i: tensor<3xi64>) -> tensor<3x6xf32> {
  %0 = "graph.embedding"(%w, %i) : (tensor<9x6xf32>, tensor<3xi64>) -> tensor<3x6xf32>
  return %0 : tensor<3x6xf32>
}

// -----

// Position 0 of a tensor that may be empty is not read either.
// CHECK-LABEL: func.func @maybe_empty
// CHECK: linalg.generic
// CHECK: cf.assert %[[OK:.*]], "index-out-of-range: index_select"
// CHECK: scf.if %[[OK]] -> (f32)
// CHECK: tensor.extract
func.func @maybe_empty(%x: tensor<?xf32, ["n"]>, %i: tensor<3xi64>) -> tensor<3xf32> {
  %0 = "graph.index_select"(%x, %i) {dim = 0 : i64} : (tensor<?xf32, ["n"]>, tensor<3xi64>) -> tensor<3xf32>
  return %0 : tensor<3xf32>
}

// -----

// Negative positions of index count from the end.
// CHECK-LABEL: func.func @index
// CHECK: linalg.generic
// CHECK: %[[NEGATIVE:.*]] = arith.cmpi slt
// CHECK: %[[WRAPPED:.*]] = arith.addi
// CHECK: arith.select %[[NEGATIVE]], %[[WRAPPED]]
// CHECK: cf.assert %{{.*}}, "index-out-of-range: index"
func.func @index(%x: tensor<4x5xf32>, %i: tensor<3xi64>) -> tensor<3x5xf32> {
  %0 = "graph.index"(%x, %i) {dims = array<i64: 0>, operandSegmentSizes = array<i32: 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0>} : (tensor<4x5xf32>, tensor<3xi64>) -> tensor<3x5xf32>
  return %0 : tensor<3x5xf32>
}

// -----

// Writes are one loop nest in the order of the source.
// CHECK-LABEL: func.func @scatter_add
// CHECK-SAME: %[[X:.*]]: tensor<4x6xf32>
// CHECK: %[[R:.*]] = scf.for %{{.*}} iter_args(%{{.*}} = %[[X]]) -> (tensor<4x6xf32>)
// CHECK: scf.for
// CHECK: cf.assert %{{.*}}, "index-out-of-range: scatter_add"
// CHECK: arith.addf
// CHECK: tensor.insert
// CHECK: return %[[R]]
func.func @scatter_add(%x: tensor<4x6xf32>, %i: tensor<3x6xi64>, %v: tensor<3x6xf32>) -> tensor<4x6xf32> {
  %0 = "graph.scatter_reduce"(%x, %i, %v) {dim = 0 : i64, reduce = "sum", include_self = true} : (tensor<4x6xf32>, tensor<3x6xi64>, tensor<3x6xf32>) -> tensor<4x6xf32>
  return %0 : tensor<4x6xf32>
}

// -----

// Nothing to write: nothing is done.
// CHECK-LABEL: func.func @writes_nothing
// CHECK-NOT: scf.for
// CHECK: return %arg0
func.func @writes_nothing(%x: tensor<4x6xf32>, %i: tensor<0x6xi64>, %v: tensor<f32>) -> tensor<4x6xf32> {
  %0 = "graph.scatter"(%x, %i, %v) {dim = 0 : i64} : (tensor<4x6xf32>, tensor<0x6xi64>, tensor<f32>) -> tensor<4x6xf32>
  return %0 : tensor<4x6xf32>
}
