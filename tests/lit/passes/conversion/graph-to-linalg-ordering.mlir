// RUN: stepwell-opt %s --split-input-file --convert-graph-to-linalg | FileCheck %s
// Loops must not copy buffers: one row is written in place.
// RUN: stepwell-opt %s --split-input-file --pass-pipeline='builtin.module(convert-graph-to-linalg,canonicalize,cse,one-shot-bufferize{bufferize-function-boundaries=true function-boundary-type-conversion=identity-layout-map},canonicalize,cse,canonicalize)' | FileCheck %s --check-prefix=BUFFERS

// Rows are independent; float sums are carried in double, as torch carries them.
// CHECK-LABEL: func.func @cumsum
// CHECK: scf.forall (%[[ROW:.*]]) in (3) shared_outs
// CHECK: scf.for %{{.*}} iter_args(%{{.*}} = %{{.*}}, %[[SUM:.*]] = %{{.*}}) -> (tensor<9xf32>, f64)
// CHECK: arith.extf %{{.*}} : f32 to f64
// CHECK: arith.addf %[[SUM]]
// CHECK: scf.forall.in_parallel
// BUFFERS-LABEL: func.func @cumsum
// BUFFERS-NOT: memref.copy
// BUFFERS: return
func.func @cumsum(%x: tensor<3x9xf32>) -> tensor<3x9xf32> {
  %0 = "graph.cumsum"(%x) {dim = 1 : i64} : (tensor<3x9xf32>) -> tensor<3x9xf32>
  return %0 : tensor<3x9xf32>
}

// -----

// Runs grow fourfold per step: out to the spare row and back, so that no step copies a row. 9 elements need 2 steps.
// CHECK-LABEL: func.func @sort
// CHECK: scf.forall
// CHECK: %[[STEPS:.*]] = arith.constant 2 : index
// CHECK: scf.for %{{.*}} = %{{.*}} to %[[STEPS]]
// CHECK-COUNT-4: scf.for
// BUFFERS-LABEL: func.func @sort
// BUFFERS-NOT: memref.copy
// BUFFERS: return
func.func @sort(%x: tensor<3x9xi64>) -> (tensor<3x9xi64>, tensor<3x9xi64>) {
  %0:2 = "graph.sort"(%x) {dim = 1 : i64, descending = false} : (tensor<3x9xi64>) -> (tensor<3x9xi64>, tensor<3x9xi64>)
  return %0#0, %0#1 : tensor<3x9xi64>, tensor<3x9xi64>
}

// -----

// A small k keeps a list, a large one sorts.
// CHECK-LABEL: func.func @topk
// CHECK: scf.forall
// CHECK: scf.if
// CHECK-NOT: tensor.extract_slice {{.*}} tensor<3x100xf32> to
// BUFFERS-LABEL: func.func @topk
// BUFFERS-NOT: memref.copy
// BUFFERS: return
func.func @topk(%x: tensor<3x100xf32>) -> (tensor<3x5xf32>, tensor<3x5xi64>) {
  %0:2 = "graph.topk"(%x) {k = 5 : i64, dim = 1 : i64, largest = true} : (tensor<3x100xf32>) -> (tensor<3x5xf32>, tensor<3x5xi64>)
  return %0#0, %0#1 : tensor<3x5xf32>, tensor<3x5xi64>
}

// -----

// CHECK-LABEL: func.func @topk_of_many
// CHECK: %[[SORTED:.*]]:2 = scf.forall
// CHECK: tensor.extract_slice %[[SORTED]]#0[0, 0] [3, 90] [1, 1]
func.func @topk_of_many(%x: tensor<3x100xf32>) -> tensor<3x90xf32> {
  %0:2 = "graph.topk"(%x) {k = 90 : i64, dim = 1 : i64, largest = true} : (tensor<3x100xf32>) -> (tensor<3x90xf32>, tensor<3x90xi64>)
  return %0#0 : tensor<3x90xf32>
}

// -----

// CHECK-LABEL: func.func @search
// CHECK: scf.for
// CHECK: scf.while
// CHECK: arith.cmpf oge
func.func @search(%b: tensor<5xf32>, %x: tensor<9xf32>) -> tensor<9xi64> {
  %0 = "graph.searchsorted"(%b, %x) {right = false} : (tensor<5xf32>, tensor<9xf32>) -> tensor<9xi64>
  return %0 : tensor<9xi64>
}

// -----

// CHECK-LABEL: func.func @nothing
// CHECK-NOT: scf
// CHECK: tensor.empty() : tensor<3x0xf32>
func.func @nothing(%x: tensor<3x0xf32>) -> tensor<3x0xf32> {
  %0 = "graph.cumsum"(%x) {dim = 1 : i64} : (tensor<3x0xf32>) -> tensor<3x0xf32>
  return %0 : tensor<3x0xf32>
}
