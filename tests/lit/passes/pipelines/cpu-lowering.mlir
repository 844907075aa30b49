// RUN: stepwell-opt %s --pass-pipeline="builtin.module(cpu-lowering)" | FileCheck %s
// RUN: stepwell-opt %s --pass-pipeline="builtin.module(cpu-lowering{contract=false keep-roundings=true})" | FileCheck %s --check-prefix=EXACT

// A kernel ends as functions on pointers and 64-bit integers: the kernel itself, exported, and what its threads run.
// CHECK: llvm.func internal @k0_launch_0(%{{.*}}: !llvm.ptr, %{{.*}}: !llvm.ptr, %{{.*}}: i64, %{{.*}}: !llvm.ptr, %{{.*}}: !llvm.ptr, %{{.*}}: i64)
// CHECK: llvm.func internal @k0_launch_0_worker(%{{.*}}: !llvm.ptr)
// CHECK: llvm.func internal @k0_parallel_0(%{{.*}}: !llvm.ptr {llvm.noalias}
// CHECK: %[[PRODUCT:.*]] = llvm.fmul %{{.*}}, %{{.*}} {fastmathFlags = #llvm.fastmath<contract>}
// CHECK: %[[SUM:.*]] = llvm.fadd %[[PRODUCT]], %{{.*}} {fastmathFlags = #llvm.fastmath<contract>}
// CHECK-NOT: llvm.fptrunc
// CHECK: llvm.store %[[SUM]]
// CHECK: llvm.func @k0(%{{.*}}: !llvm.ptr {llvm.noalias}, %{{.*}}: !llvm.ptr {llvm.noalias}, %{{.*}}: i64, %{{.*}}: !llvm.ptr {llvm.noalias}, %{{.*}}: !llvm.ptr {llvm.noalias})
// CHECK-SAME: stepwell.workspace = 0 : i64
// CHECK-NOT: builtin.unrealized_conversion_cast

// EXACT: llvm.fmul %{{[^ ]*}}, %{{[^ ]*}} : f32
// EXACT: llvm.fptrunc
func.func @k0(%p: memref<f32>, %q: memref<f32>, %s: i64, %w: memref<i8>, %status: memref<i32>)
    attributes {stepwell.workspace = 0 : i64} {
  %n = arith.index_cast %s : i64 to index
  %a = memref.reinterpret_cast %p to offset: [0], sizes: [%n], strides: [1] : memref<f32> to memref<?xf32>
  %b = memref.reinterpret_cast %q to offset: [0], sizes: [%n], strides: [1] : memref<f32> to memref<?xf32>
  scf.forall (%i) in (%n) {
    %x = memref.load %a[%i] : memref<?xf32>
    %product = arith.mulf %x, %x : f32
    %sum = arith.addf %product, %x : f32
    %half = arith.truncf %sum : f32 to f16
    %back = arith.extf %half : f16 to f32
    memref.store %back, %b[%i] : memref<?xf32>
  } {stepwell.grain = 1024 : i64}
  return
}
