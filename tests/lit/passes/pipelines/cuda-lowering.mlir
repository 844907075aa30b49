// RUN: stepwell-opt %s --pass-pipeline="builtin.module(verify-scheduled,cuda-lowering,verify-target)" | FileCheck %s
// RUN: stepwell-opt %s --pass-pipeline="builtin.module(cuda-lowering{target=cuda:sm_80 contract=false keep-roundings=true})" | FileCheck %s --check-prefix=EXACT
// RUN: stepwell-opt %s --pass-pipeline="builtin.module(cuda-lowering,gpu-module-to-binary{format=isa})" | sed 's/\\0A/\n/g; s/\\09/ /g' | FileCheck %s --check-prefix=PTX
// RUN: stepwell-opt %s --pass-pipeline="builtin.module(cuda-lowering{contract=false},gpu-module-to-binary{format=isa})" | sed 's/\\0A/\n/g; s/\\09/ /g' | FileCheck %s --check-prefix=APART

// A kernel ends as a GPU module of entries on pointers and 64-bit integers.
// CHECK: gpu.module @kernels [#nvvm.target<O = 3, chip = "sm_90a", features = "+ptx80">]
// CHECK: llvm.mlir.global external @shared() {addr_space = 3 : i32, alignment = 1024 : i64} : !llvm.array<0 x i8>
// CHECK: llvm.func @k0_0(%{{.*}}: !llvm.ptr {llvm.noalias}, %{{.*}}: !llvm.ptr {llvm.noalias}, %{{.*}}: i64, %{{.*}}: !llvm.ptr {llvm.noalias}, %{{.*}}: !llvm.ptr)
// CHECK-SAME: nvvm.kernel, nvvm.maxntid = array<i32: 256, 1, 1>
// CHECK: nvvm.read.ptx.sreg.tid.x range <i32, 0, 256> : i32
// CHECK: llvm.fmul %{{.*}}, %{{.*}} {fastmathFlags = #llvm.fastmath<contract>}
// CHECK-NOT: llvm.fptrunc
// CHECK: nvvm.barrier
// CHECK: llvm.atomicrmw max
// CHECK-NOT: builtin.unrealized_conversion_cast

// EXACT: chip = "sm_80", features = "+ptx70"
// EXACT: llvm.fmul %{{[^ ]*}}, %{{[^ ]*}} : vector<4xf32>
// EXACT: llvm.fptrunc

// Wide accesses, loads through the read-only path, one rounding where products and sums may fuse, IEEE's square root and
// quotient, and no calls.
// PTX: .target sm_90a
// PTX: .extern .shared .align 1024 .b8 shared[];
// PTX: .visible .entry k0_0(
// PTX: .maxntid 256
// PTX: ld.global.nc.v4.b32
// PTX-NOT: {{(mul|add).*}}.f32
// PTX: fma.rn.f32
// PTX: sqrt.rn.f32
// PTX: div.rn.f32
// PTX-NOT: {{call|ftz|approx}}
// PTX: st.shared.v4.b32
// PTX: bar.sync 0;
// PTX: st.global.v4.b32
// PTX: {{atom|red}}.global.max.s32

// APART-NOT: fma
// APART: mul.rn.f32
// APART: add.rn.f32
// APART-NOT: fma
func.func @k0(%p: memref<f32>, %q: memref<f32>, %s: i64, %w: memref<i8>, %status: memref<i32>)
    attributes {stepwell.workspace = 0 : i64} {
  %n = arith.index_cast %s : i64 to index
  %c1024 = arith.constant 1024 : index
  %c4 = arith.constant 4 : index
  %a = memref.reinterpret_cast %p to offset: [0], sizes: [%n], strides: [1] : memref<f32> to memref<?xf32>
  %b = memref.reinterpret_cast %q to offset: [0], sizes: [%n], strides: [1] : memref<f32> to memref<?xf32>
  %blocks = arith.ceildivsi %n, %c1024 : index
  scf.forall (%block) in (%blocks) {
    %tile = memref.alloca() : memref<1024xf32, #gpu.address_space<workgroup>>
    %first = arith.muli %block, %c1024 : index
    scf.forall (%thread) in (256) {
      %offset = arith.muli %thread, %c4 : index
      %i = arith.addi %first, %offset : index
      %x = vector.load %a[%i] : memref<?xf32>, vector<4xf32>
      %product = arith.mulf %x, %x : vector<4xf32>
      %sum = arith.addf %product, %x : vector<4xf32>
      %half = arith.truncf %sum : vector<4xf32> to vector<4xbf16>
      %back = arith.extf %half : vector<4xbf16> to vector<4xf32>
      %root = math.sqrt %back : vector<4xf32>
      %quotient = arith.divf %x, %root : vector<4xf32>
      vector.store %quotient, %tile[%offset] : memref<1024xf32, #gpu.address_space<workgroup>>, vector<4xf32>
      gpu.barrier
      %y = vector.load %tile[%first] : memref<1024xf32, #gpu.address_space<workgroup>>, vector<4xf32>
      vector.store %y, %b[%i] : memref<?xf32>, vector<4xf32>
      %inside = arith.cmpi slt, %i, %n : index
      cf.assert %inside, "outside"
    } {mapping = [#gpu.thread<x>]}
  } {mapping = [#gpu.block<x>], stepwell.blocks = "(s0 + 1023) // 1024", stepwell.when = "aligned"}
  return
}
