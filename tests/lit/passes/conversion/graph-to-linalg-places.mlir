// RUN: stepwell-opt %s --convert-graph-to-linalg | FileCheck %s

// Places are computed in half of int64's bits where all of them are known to fit, and cast in the end.
// CHECK-LABEL: func.func @known
func.func @known(%x: tensor<4x8xf32>) -> (tensor<4xf32>, tensor<4xi64>) {
  // CHECK: linalg.fill {{.*}} outs(%{{.*}} : tensor<4xi32>)
  // CHECK: linalg.generic
  // CHECK: arith.index_cast %{{.*}} : index to i32
  // CHECK: linalg.generic
  // CHECK: arith.extsi %{{.*}} : i32 to i64
  %0, %1 = "graph.max_dim"(%x) {dim = 1 : i64, keepdim = false} : (tensor<4x8xf32>) -> (tensor<4xf32>, tensor<4xi64>)
  return %0, %1 : tensor<4xf32>, tensor<4xi64>
}

// CHECK-LABEL: func.func @unknown
func.func @unknown(%x: tensor<4x?xf32, ["s0"]>) -> (tensor<4xf32>, tensor<4xi64>) {
  // CHECK-NOT: i32
  // CHECK: arith.index_cast %{{.*}} : index to i64
  // CHECK-NOT: arith.extsi
  // CHECK: return
  %0, %1 = "graph.max_dim"(%x) {dim = 1 : i64, keepdim = false} : (tensor<4x?xf32, ["s0"]>) -> (tensor<4xf32>, tensor<4xi64>)
  return %0, %1 : tensor<4xf32>, tensor<4xi64>
}

// CHECK-LABEL: func.func @too_many
func.func @too_many(%x: tensor<2147483648xi8>) -> (tensor<i8>, tensor<i64>) {
  // CHECK: arith.index_cast %{{.*}} : index to i64
  %0, %1 = "graph.max_dim"(%x) {dim = 0 : i64, keepdim = false} : (tensor<2147483648xi8>) -> (tensor<i8>, tensor<i64>)
  return %0, %1 : tensor<i8>, tensor<i64>
}

// Without padding every window lies inside.
// CHECK-LABEL: func.func @pool
func.func @pool(%x: tensor<1x6x8xf32>) -> (tensor<1x3x4xf32>, tensor<1x3x4xi64>) {
  // CHECK-NOT: arith.cmpi ult
  // CHECK: arith.index_cast %{{.*}} : index to i32
  // CHECK-NOT: arith.cmpi ult
  // CHECK: return
  %0, %1 = "graph.max_pool_with_indices"(%x) {kernel = array<i64: 2, 2>, stride = array<i64: 2, 2>, padding = array<i64: 0, 0>, dilation = array<i64: 1, 1>, ceil_mode = false} : (tensor<1x6x8xf32>) -> (tensor<1x3x4xf32>, tensor<1x3x4xi64>)
  return %0, %1 : tensor<1x3x4xf32>, tensor<1x3x4xi64>
}

// CHECK-LABEL: func.func @padded_pool
func.func @padded_pool(%x: tensor<1x6x8xf32>) -> (tensor<1x3x4xf32>, tensor<1x3x4xi64>) {
  // CHECK-COUNT-2: arith.cmpi ult
  %0, %1 = "graph.max_pool_with_indices"(%x) {kernel = array<i64: 3, 3>, stride = array<i64: 2, 2>, padding = array<i64: 1, 1>, dilation = array<i64: 1, 1>, ceil_mode = false} : (tensor<1x6x8xf32>) -> (tensor<1x3x4xf32>, tensor<1x3x4xi64>)
  return %0, %1 : tensor<1x3x4xf32>, tensor<1x3x4xi64>
}
