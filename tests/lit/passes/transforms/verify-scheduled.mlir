// RUN: stepwell-opt %s --verify-scheduled | FileCheck %s

// CHECK: module @k0 attributes {stepwell.stage = "scheduled"}
module @k0 {
  memref.global "private" constant @table : memref<4xf32> = dense<1.0>
  // CHECK: func.func @k0(
  func.func @k0(%x: memref<f32>, %y: memref<f32>, %n: i64, %workspace: memref<i8>, %status: memref<i32>) {
    %size = arith.index_cast %n : i64 to index
    %a = memref.reinterpret_cast %x to offset: [0], sizes: [%size], strides: [1] : memref<f32> to memref<?xf32>
    %b = memref.reinterpret_cast %y to offset: [0], sizes: [%size], strides: [1] : memref<f32> to memref<?xf32>
    // CHECK: scf.forall
    scf.forall (%i) in (%size) {
      %v = memref.load %a[%i] : memref<?xf32>
      memref.store %v, %b[%i] : memref<?xf32>
    }
    return
  }
  func.func private @body(%i: index) -> index {
    return %i : index
  }
}
