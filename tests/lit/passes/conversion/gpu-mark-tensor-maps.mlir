// RUN: stepwell-opt %s --gpu-mark-tensor-maps --split-input-file --verify-diagnostics | FileCheck %s

// The last arguments of an entry are its tensor maps, 128 bytes each, read where they lie.
// CHECK: llvm.func @k0_0(%{{.*}}: !llvm.ptr {llvm.noalias}, %{{.*}}: !llvm.ptr {llvm.align = 64 : i64, llvm.byval = !llvm.array<16 x i64>, nvvm.grid_constant})
// CHECK: llvm.func @k0_1(%{{.*}}: !llvm.ptr)
// CHECK: llvm.func @helper(%{{.*}}: !llvm.ptr)
gpu.module @kernels attributes {stepwell.grids = [{entry = "k0_0", tensor_maps = [{argument = 0}]}, {entry = "k0_1", tensor_maps = []}]} {
  llvm.func @k0_0(%a: !llvm.ptr {llvm.noalias}, %map: !llvm.ptr) attributes {gpu.kernel, nvvm.kernel} {
    llvm.return
  }
  llvm.func @k0_1(%a: !llvm.ptr) attributes {gpu.kernel, nvvm.kernel} {
    llvm.return
  }
  llvm.func @helper(%a: !llvm.ptr) {
    llvm.return
  }
}

// -----

gpu.module @kernels attributes {stepwell.grids = [{entry = "k0_0", tensor_maps = [{argument = 0}, {argument = 1}]}]} {
  // expected-error @+1 {{'llvm.func' op expects 2 tensor maps behind its arguments}}
  llvm.func @k0_0(%map: !llvm.ptr) attributes {gpu.kernel, nvvm.kernel} {
    llvm.return
  }
}
