// RUN: stepwell-opt %s --gpu-keep-intrinsics | FileCheck %s

// CHECK-LABEL: llvm.func @one_instruction_each
llvm.func @one_instruction_each(%x: f32, %v: vector<4xf32>) -> f32 {
  // CHECK: %[[ROOT:.*]] = llvm.call_intrinsic "llvm.sqrt"(%{{.*}}) {{.*}}contract{{.*}} : (f32) -> f32
  %0 = llvm.intr.sqrt(%x) {fastmathFlags = #llvm.fastmath<contract>} : (f32) -> f32
  // CHECK: llvm.call_intrinsic "llvm.floor"(%{{.*}}) : (vector<4xf32>) -> vector<4xf32>
  %1 = llvm.intr.floor(%v) : (vector<4xf32>) -> vector<4xf32>
  // CHECK: llvm.call_intrinsic "llvm.fabs"(%[[ROOT]])
  %2 = llvm.intr.fabs(%0) : (f32) -> f32
  llvm.return %2 : f32
}

// CHECK-LABEL: llvm.func @others
llvm.func @others(%x: f32, %i: i32) -> f32 {
  // CHECK: llvm.intr.fma
  %0 = llvm.intr.fma(%x, %x, %x) : (f32, f32, f32) -> f32
  // CHECK: llvm.intr.ctpop
  %1 = llvm.intr.ctpop(%i) : (i32) -> i32
  llvm.return %0 : f32
}

// CHECK-LABEL: func.func @extrema
func.func @extrema(%x: f32, %v: vector<4xf32>, %i: i32) {
  // CHECK: llvm.intr.maximum(%{{.*}}, %{{.*}}) : (f32, f32) -> f32
  %0 = arith.maximumf %x, %x : f32
  // CHECK: llvm.intr.minimum(%{{.*}}, %{{.*}}) : (vector<4xf32>, vector<4xf32>) -> vector<4xf32>
  %1 = arith.minimumf %v, %v : vector<4xf32>
  // CHECK: llvm.intr.maxnum
  %2 = arith.maxnumf %x, %x : f32
  // CHECK: llvm.intr.minnum
  %3 = arith.minnumf %x, %x : f32
  // CHECK: arith.maxsi
  %4 = arith.maxsi %i, %i : i32
  return
}
