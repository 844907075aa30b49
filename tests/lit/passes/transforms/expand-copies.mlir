// RUN: stepwell-opt %s --expand-copies | FileCheck %s

// CHECK-LABEL: func.func @strided
// CHECK-SAME: %[[A:.*]]: memref<4x?xf32, strided<[8, 1]>>, %[[B:.*]]: memref<4x?xf32>
func.func @strided(%a: memref<4x?xf32, strided<[8, 1]>>, %b: memref<4x?xf32>) {
  // CHECK-NEXT: linalg.copy {{.*}}ins(%[[A]] : {{.*}}) outs(%[[B]] : {{.*}})
  memref.copy %a, %b : memref<4x?xf32, strided<[8, 1]>> to memref<4x?xf32>
  return
}

// CHECK-LABEL: func.func @to_itself
// CHECK-NEXT: return
func.func @to_itself(%a: memref<4xf32>) {
  memref.copy %a, %a : memref<4xf32> to memref<4xf32>
  return
}

// CHECK-LABEL: func.func @unaffected
func.func @unaffected(%a: memref<4xf32>, %x: f32, %i: index) {
  // CHECK-NEXT: memref.store
  memref.store %x, %a[%i] : memref<4xf32>
  return
}
