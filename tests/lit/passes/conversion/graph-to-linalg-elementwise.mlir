// RUN: stepwell-opt %s --split-input-file --convert-graph-to-linalg | FileCheck %s

// Broadcasting is in the maps; no operand is copied.
// CHECK-DAG: #[[ROW:.*]] = affine_map<(d0, d1) -> (d1)>
// CHECK-DAG: #[[COLUMN:.*]] = affine_map<(d0, d1) -> (d0, 0)>
// CHECK-LABEL: func.func @broadcast
// CHECK-SAME: %[[X:.*]]: tensor<?x1xf32> {stepwell.sizes = ["s0"]}, %[[Y:.*]]: tensor<4xf32>
// CHECK: %[[SIZE:.*]] = tensor.dim %[[X]]
// CHECK: %[[EMPTY:.*]] = tensor.empty(%[[SIZE]]) : tensor<?x4xf32>
// CHECK: linalg.generic {indexing_maps = [#[[COLUMN]], #[[ROW]], #{{.*}}], iterator_types = ["parallel", "parallel"]} ins(%[[X]], %[[Y]] :
// CHECK-SAME: outs(%[[EMPTY]] :
// CHECK: arith.addf
func.func @broadcast(%x: tensor<?x1xf32, ["s0"]>, %y: tensor<4xf32>) -> tensor<?x4xf32, ["s0"]> {
  %0 = "graph.add"(%x, %y) : (tensor<?x1xf32, ["s0"]>, tensor<4xf32>) -> tensor<?x4xf32, ["s0"]>
  return %0 : tensor<?x4xf32, ["s0"]>
}

// -----

// 16-bit floats are computed in float32 and rounded once.
// CHECK-LABEL: func.func @narrow
// CHECK: ^bb0(%[[X:.*]]: bf16, %{{.*}}: bf16):
// CHECK: %[[WIDE:.*]] = arith.extf %[[X]] : bf16 to f32
// CHECK: %[[EXP:.*]] = math.exp %[[WIDE]] : f32
// CHECK: %[[ROUNDED:.*]] = arith.truncf %[[EXP]] : f32 to bf16
// CHECK: linalg.yield %[[ROUNDED]] : bf16
func.func @narrow(%x: tensor<5xbf16>) -> tensor<5xbf16> {
  %0 = "graph.exp"(%x) : (tensor<5xbf16>) -> tensor<5xbf16>
  return %0 : tensor<5xbf16>
}

// -----

// Unsigned integers lose their sign in the type and keep it in the op.
// CHECK-LABEL: func.func @unsigned
// CHECK-SAME: tensor<5xi8>
// CHECK: arith.maxui
// CHECK: arith.cmpi ult
func.func @unsigned(%x: tensor<5xui8>, %y: tensor<5xui8>) -> (tensor<5xui8>, tensor<5xi1>) {
  %0 = "graph.maximum"(%x, %y) : (tensor<5xui8>, tensor<5xui8>) -> tensor<5xui8>
  %1 = "graph.lt"(%x, %y) : (tensor<5xui8>, tensor<5xui8>) -> tensor<5xi1>
  return %0, %1 : tensor<5xui8>, tensor<5xi1>
}

// -----

// Division reports a zero, and divides by one where it would trap.
// CHECK-LABEL: func.func @integer_division
// CHECK: ^bb0(%[[X:.*]]: i32, %[[Y:.*]]: i32, %{{.*}}: i32):
// CHECK: %[[OK:.*]] = arith.cmpi ne, %[[Y]]
// CHECK: cf.assert %[[OK]], "integer-division-by-zero: div"
// CHECK: %[[SAFE:.*]] = arith.select %{{.*}}, %{{.*}}, %[[Y]]
// CHECK: arith.divsi %[[X]], %[[SAFE]]
// CHECK-NOT: arith.divsi
func.func @integer_division(%x: tensor<5xi32>, %y: tensor<5xi32>) -> tensor<5xi32> {
  %0 = "graph.div"(%x, %y) {rounding = "floor"} : (tensor<5xi32>, tensor<5xi32>) -> tensor<5xi32>
  return %0 : tensor<5xi32>
}

// -----

// Floats need no check.
// CHECK-LABEL: func.func @float_division
// CHECK-NOT: cf.assert
// CHECK: arith.divf
func.func @float_division(%x: tensor<5xf32>, %y: tensor<5xf32>) -> tensor<5xf32> {
  %0 = "graph.div"(%x, %y) : (tensor<5xf32>, tensor<5xf32>) -> tensor<5xf32>
  return %0 : tensor<5xf32>
}

// -----

// NaN passes through both bounds.
// CHECK-LABEL: func.func @clamp
// CHECK: %[[LOW:.*]] = arith.maximumf
// CHECK: arith.minimumf %[[LOW]]
func.func @clamp(%x: tensor<5xf32>, %low: tensor<f32>, %high: tensor<f32>) -> tensor<5xf32> {
  %0 = "graph.clamp"(%x, %low, %high) {operandSegmentSizes = array<i32: 1, 1, 1>} : (tensor<5xf32>, tensor<f32>, tensor<f32>) -> tensor<5xf32>
  return %0 : tensor<5xf32>
}

// -----

// CHECK-LABEL: func.func @casts
// CHECK: arith.cmpf une
// CHECK: arith.fptosi %{{.*}} : f32 to i64
// CHECK: arith.trunci %{{.*}} : i64 to i8
func.func @casts(%x: tensor<5xf32>) -> (tensor<5xi1>, tensor<5xui8>) {
  %0 = "graph.convert"(%x) {dtype = "bool"} : (tensor<5xf32>) -> tensor<5xi1>
  %1 = "graph.convert"(%x) {dtype = "uint8"} : (tensor<5xf32>) -> tensor<5xui8>
  return %0, %1 : tensor<5xi1>, tensor<5xui8>
}

// -----

// A cast to the type a tensor has is nothing.
// CHECK-LABEL: func.func @no_cast
// CHECK-SAME: %[[X:.*]]: tensor<5xf32>
// CHECK-NEXT: return %[[X]]
func.func @no_cast(%x: tensor<5xf32>) -> tensor<5xf32> {
  %0 = "graph.convert"(%x) {dtype = "float32"} : (tensor<5xf32>) -> tensor<5xf32>
  return %0 : tensor<5xf32>
}

// -----

// CHECK-LABEL: func.func @made
// CHECK: arith.constant dense<7> : tensor<i64>
// CHECK: linalg.index 0
// CHECK: arith.index_cast
// CHECK: arith.sitofp %{{.*}} : i64 to f32
func.func @made(%x: tensor<?xf32, ["s0"]>) -> tensor<?xf32, ["s0 + 1"]> {
  %0 = "graph.constant"() {value = 7 : i64, dtype = "int64"} : () -> tensor<i64>
  %1 = "graph.arange"(%0, %0) {sizes = ["s0 + 1"], dtype = "float32"} : (tensor<i64>, tensor<i64>) -> tensor<?xf32, ["s0 + 1"]>
  return %1 : tensor<?xf32, ["s0 + 1"]>
}

// -----

// Floats of 16 and 8 bits are not widened first; integers carry no sign here.
// CHECK-LABEL: func.func @bits
// CHECK: arith.bitcast %{{.*}} : bf16 to i16
// CHECK: arith.bitcast %{{.*}} : f8E5M2 to i8
// CHECK-NOT: arith.bitcast
func.func @bits(%x: tensor<3xbf16>, %y: tensor<3xf8E5M2>) -> (tensor<3xi16>, tensor<3xi8>) {
  %0 = "graph.bitcast"(%x) {dtype = "int16"} : (tensor<3xbf16>) -> tensor<3xi16>
  %1 = "graph.bitcast"(%y) {dtype = "uint8"} : (tensor<3xf8E5M2>) -> tensor<3xui8>
  %2 = "graph.bitcast"(%1) {dtype = "int8"} : (tensor<3xui8>) -> tensor<3xi8>
  return %0, %2 : tensor<3xi16>, tensor<3xi8>
}
