// RUN: stepwell-opt %s --verify-target | FileCheck %s

// CHECK: module attributes {stepwell.stage = "target"}
func.func @main() {
  return
}
module @k0 {
  llvm.func @GOMP_parallel(!llvm.ptr, !llvm.ptr, i32, i32)
  llvm.mlir.global private constant @table(1.0 : f32) : f32
  // CHECK: llvm.func @k0(
  llvm.func @k0(%x: !llvm.ptr, %n: i64, %workspace: !llvm.ptr, %status: !llvm.ptr) {
    llvm.return
  }
  llvm.func internal @body(%i: i32) {
    llvm.return
  }
}
module @k1 {
  // CHECK: gpu.module @kernels
  gpu.module @kernels {
    llvm.func @k1_0(%x: !llvm.ptr, %n: i64, %workspace: !llvm.ptr, %status: !llvm.ptr, %map: !llvm.ptr {llvm.byval = !llvm.array<16 x i64>, nvvm.grid_constant}) attributes {gpu.kernel, nvvm.kernel} {
      nvvm.barrier0
      llvm.return
    }
    llvm.func @helper(%i: i32) {
      llvm.return
    }
  }
}
