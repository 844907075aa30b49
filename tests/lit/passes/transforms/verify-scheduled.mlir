// RUN: stepwell-opt %s --verify-scheduled --split-input-file | FileCheck %s

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

// -----

// Launches may hold what templates write; tensor maps stand behind the status slot.
// CHECK: module @k1 attributes {stepwell.stage = "scheduled"}
module @k1 {
  func.func @k1(%x: memref<f32>, %workspace: memref<i8>, %status: memref<i32>, %map: !llvm.ptr {stepwell.tensor_map = {argument = 0 : i64}}) {
    scf.forall (%block) in (4) {
      %tile = memref.alloca() : memref<64xf32, #gpu.address_space<workgroup>>
      scf.forall (%thread) in (32) {
        %address = memref.extract_aligned_pointer_as_index %tile : memref<64xf32, #gpu.address_space<workgroup>> -> index
        %number = arith.index_cast %address : index to i64
        %pointer = llvm.inttoptr %number : i64 to !llvm.ptr<3>
        %v = llvm.load %pointer : !llvm.ptr<3> -> f32
        gpu.barrier
        nvvm.prefetch tensormap, %map : !llvm.ptr
      } {mapping = [#gpu.thread<x>]}
    } {mapping = [#gpu.block<x>]}
    return
  }
}
