// RUN: stepwell-opt %s --widen-bools | FileCheck %s

// CHECK: memref.global "private" constant @mask : memref<3xi8> = dense<[1, 0, 1]>
memref.global "private" constant @mask : memref<3xi1> = dense<[true, false, true]>

// CHECK-LABEL: func.func @load_and_store
// CHECK-SAME: %[[M:.*]]: memref<?xi8>, %[[I:.*]]: index) -> memref<?xi8>
func.func @load_and_store(%m: memref<?xi1>, %i: index) -> memref<?xi1> {
  // CHECK: %[[ALLOC:.*]] = memref.alloc(%[[I]]) : memref<?xi8>
  %a = memref.alloc(%i) : memref<?xi1>
  // CHECK: %[[BYTE:.*]] = memref.load %[[M]][%[[I]]] : memref<?xi8>
  // CHECK: %[[TRUE:.*]] = arith.cmpi ne, %[[BYTE]], %c0_i8
  %x = memref.load %m[%i] : memref<?xi1>
  // CHECK: %[[WIDE:.*]] = arith.extui %[[TRUE]] : i1 to i8
  // CHECK: memref.store %[[WIDE]], %[[ALLOC]][%[[I]]]
  memref.store %x, %a[%i] : memref<?xi1>
  // CHECK: memref.get_global @mask : memref<3xi8>
  %g = memref.get_global @mask : memref<3xi1>
  return %a : memref<?xi1>
}

// CHECK-LABEL: func.func @other_elements
func.func @other_elements(%m: memref<?xi8>, %v: vector<4xi1>, %i: index) -> (i8, vector<4xi1>) {
  // CHECK-NEXT: memref.load %{{.*}} : memref<?xi8>
  // CHECK-NEXT: return
  %x = memref.load %m[%i] : memref<?xi8>
  return %x, %v : i8, vector<4xi1>
}
