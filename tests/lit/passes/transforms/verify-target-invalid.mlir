// RUN: stepwell-opt %s --verify-target --split-input-file --verify-diagnostics

module @k0 {
  // expected-error@below {{'llvm.func' op takes f32 as argument 0; kernel ABI v1 takes !llvm.ptrs, then i64 sizes}}
  llvm.func @k0(%x: f32, %n: i64, %workspace: !llvm.ptr, %status: !llvm.ptr) {
    // expected-error@below {{'arith.constant' op is not allowed at stage 'target': convert-arith-to-llvm lowers it}}
    %c = arith.constant 1 : i32
    llvm.return
  }
  // expected-error@below {{'func.func' op is not allowed at stage 'target': convert-func-to-llvm lowers functions}}
  func.func private @left_over(i32)
}

// -----

gpu.module @kernels {
  // expected-error@below {{'llvm.func' op ends its arguments with (!llvm.ptr, i64); kernel ABI v1 ends them with (!llvm.ptr, !llvm.ptr)}}
  llvm.func @k0_0(%x: !llvm.ptr, %n: i64) attributes {gpu.kernel, nvvm.kernel} {
    // expected-error@below {{'gpu.barrier' op is not allowed at stage 'target'}}
    gpu.barrier
    llvm.return
  }
}
