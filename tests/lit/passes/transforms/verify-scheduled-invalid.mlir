// RUN: stepwell-opt %s --verify-scheduled --split-input-file --verify-diagnostics

module @k0 {
  // expected-error@below {{'func.func' op takes memref<4xf32> as argument 0; kernel ABI v1 takes memrefs, then i64 sizes}}
  func.func @k0(%x: memref<4xf32>, %workspace: memref<i8>, %status: memref<i32>) {
    return
  }
}

// -----

module @k0 {
  // expected-error@below {{'func.func' op ends its arguments with (memref<f32>, memref<i8>); kernel ABI v1 ends them with (memref<i8>, memref<i32>)}}
  func.func @k0(%x: memref<f32>, %workspace: memref<i8>) {
    return
  }
}

// -----

module @k0 {
  // expected-error@below {{'func.func' op returns values; a scheduled kernel writes its results to memory}}
  func.func @k0(%workspace: memref<i8>, %status: memref<i32>) -> i64 {
    %c = arith.constant 0 : i64
    // expected-error@below {{'tensor.empty' op is not allowed at stage 'scheduled': a schedule left it without a buffer}}
    %0 = tensor.empty() : tensor<4xf32>
    // expected-error@below {{'builtin.unrealized_conversion_cast' op is not allowed at stage 'scheduled': two lowerings disagree on a type}}
    %1 = builtin.unrealized_conversion_cast %c : i64 to f64
    return %c : i64
  }
}

// -----

module @k0 {
  // expected-error@below {{'func.func' op ends its arguments with (memref<i32>, !llvm.ptr); kernel ABI v1 ends them with (memref<i8>, memref<i32>)}}
  func.func @k0(%workspace: memref<i8>, %status: memref<i32>, %map: !llvm.ptr) {
    // expected-error@below {{'gpu.barrier' op is not allowed at stage 'scheduled': it belongs into a loop over threads, mapped to #gpu.thread<x>}}
    gpu.barrier
    %one = arith.constant 1 : i64
    scf.forall (%i) in (4) {
      // expected-error@below {{'llvm.mlir.zero' op is not allowed at stage 'scheduled': the llvm dialect comes after this stage; only launches may hold}}
      %p = llvm.mlir.zero : !llvm.ptr
    }
    scf.forall (%block) in (4) {
      // expected-error@below {{'llvm.alloca' op is not allowed at stage 'scheduled'}}
      %a = llvm.alloca %one x f32 : (i64) -> !llvm.ptr
    } {mapping = [#gpu.block<x>]}
    return
  }
}
