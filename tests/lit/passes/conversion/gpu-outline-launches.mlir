// RUN: stepwell-opt %s --gpu-outline-launches --split-input-file | FileCheck %s

// Each launch is an entry with all arguments of the kernel; views of arguments are made again inside, and what the host
// must know stands on the module.
// CHECK: gpu.module @kernels attributes {stepwell.asserts = ["x"],
// CHECK-SAME: stepwell.grids = [{blocks = "(s0 + 255) // 256", cluster = 1 : i64, entry = "k0_0", shared_bytes = 0 : i64, tensor_maps = [], threads = 256 : i64, when = "aligned"},
// CHECK-SAME: {blocks = "7", cluster = 2 : i64, entry = "k0_1", shared_bytes = 0 : i64, tensor_maps = [], threads = 64 : i64, when = "unaligned"}]
// CHECK-SAME: stepwell.kernel = "k0"
// CHECK: gpu.func @k0_0(%[[P:.*]]: memref<f32> {llvm.noalias}, %[[Q:.*]]: memref<f32> {llvm.noalias}, %[[S:.*]]: i64, %{{.*}}: memref<i8> {llvm.noalias}, %{{.*}}: memref<i32> {llvm.noalias}) kernel
// CHECK-SAME: known_block_size = array<i32: 256, 1, 1>
// CHECK-DAG: %[[N:.*]] = arith.index_cast %[[S]]
// CHECK-DAG: %[[A:.*]] = memref.reinterpret_cast %[[P]] to offset: [0], sizes: [%[[N]]]
// CHECK-DAG: %[[BLOCK:.*]] = gpu.block_id x{{$}}
// CHECK-DAG: %[[THREAD:.*]] = gpu.thread_id x upper_bound 256
// CHECK: arith.addi %{{.*}}, %[[THREAD]]
// Wide accesses lie at multiples of their size where the launch is for such pointers.
// CHECK: vector.load %[[A]][%{{.*}}] {alignment = 16 : i64}
// CHECK: vector.store %{{.*}} {alignment = 16 : i64}
// CHECK: gpu.return
// CHECK: gpu.func @k0_1
// CHECK-SAME: nvvm.cluster_dim = array<i32: 2, 1, 1>, nvvm.minctasm = 3 : i32
// CHECK: gpu.block_id x upper_bound 7
// CHECK: vector.load %{{[^ ]*}}[%{{[^ ]*}}] : memref<?xf32>, vector<4xf32>
// CHECK-NOT: func.func
func.func @k0(%p: memref<f32>, %q: memref<f32>, %s: i64, %w: memref<i8>, %status: memref<i32>)
    attributes {stepwell.asserts = ["x"], stepwell.workspace = 0 : i64} {
  %c256 = arith.constant 256 : index
  %n = arith.index_cast %s : i64 to index
  %a = memref.reinterpret_cast %p to offset: [0], sizes: [%n], strides: [1] : memref<f32> to memref<?xf32>
  %b = memref.reinterpret_cast %q to offset: [0], sizes: [%n], strides: [1] : memref<f32> to memref<?xf32>
  %blocks = arith.ceildivsi %n, %c256 : index
  scf.forall (%block) in (%blocks) {
    %first = arith.muli %block, %c256 : index
    scf.forall (%thread) in (256) {
      %i = arith.addi %first, %thread : index
      %v = vector.load %a[%i] : memref<?xf32>, vector<4xf32>
      vector.store %v, %b[%i] : memref<?xf32>, vector<4xf32>
    } {mapping = [#gpu.thread<x>]}
  } {mapping = [#gpu.block<x>], stepwell.blocks = "(s0 + 255) // 256", stepwell.when = "aligned"}
  scf.forall (%block) in (7) {
    scf.forall (%thread) in (64) {
      %v = vector.load %a[%thread] : memref<?xf32>, vector<4xf32>
      vector.store %v, %b[%thread] : memref<?xf32>, vector<4xf32>
    } {mapping = [#gpu.thread<x>]}
  } {mapping = [#gpu.block<x>], stepwell.when = "unaligned", stepwell.cluster = 2 : i64, stepwell.min_blocks = 3 : i64}
  return
}

// -----

// Shared buffers are views of one array, each at a multiple of its alignment; constants come along; what threads tell
// each other through memory is not noalias.
// CHECK: gpu.module @kernels
// CHECK-SAME: shared_bytes = 192 : i64
// CHECK: memref.global "private" constant @k1.constant0
// CHECK: memref.global @shared : memref<0xi8, #gpu.address_space<workgroup>> {alignment = 1024 : i64}
// CHECK: gpu.func @k1_0(%{{.*}}: memref<f32> {llvm.noalias}, %{{.*}}: memref<i8>, %{{.*}}: memref<i32>) kernel
// CHECK: %[[WHOLE:.*]] = memref.get_global @shared
// CHECK: %[[OFFSET:.*]] = arith.constant 0 : index
// CHECK: %[[ONE:.*]] = memref.view %[[WHOLE]][%[[OFFSET]]][] : memref<0xi8, #gpu.address_space<workgroup>> to memref<5xf32, #gpu.address_space<workgroup>>
// CHECK: %[[OFFSET:.*]] = arith.constant 64 : index
// CHECK: %[[TWO:.*]] = memref.view %{{.*}}[%[[OFFSET]]][]
// CHECK: memref.store %{{.*}}, %[[ONE]]
// CHECK: gpu.barrier
// CHECK: memref.store %{{.*}}, %[[TWO]]
memref.global "private" constant @k1.constant0 : memref<2xf32> = dense<[1.0, 2.0]>
memref.global "private" constant @other : memref<2xf32> = dense<[3.0, 4.0]>
func.func @k1(%p: memref<f32>, %w: memref<i8>, %status: memref<i32>) {
  %a = memref.reinterpret_cast %p to offset: [0], sizes: [64], strides: [1] : memref<f32> to memref<64xf32>
  %space = memref.reinterpret_cast %w to offset: [0], sizes: [64], strides: [1] : memref<i8> to memref<64xi8>
  scf.forall (%block) in (1) {
    %one = memref.alloca() {alignment = 16 : i64} : memref<5xf32, #gpu.address_space<workgroup>>
    %two = memref.alloca() {alignment = 64 : i64} : memref<32xf32, #gpu.address_space<workgroup>>
    scf.forall (%thread) in (32) {
      %table = memref.get_global @k1.constant0 : memref<2xf32>
      %c0 = arith.constant 0 : index
      %v = memref.load %table[%c0] : memref<2xf32>
      memref.store %v, %one[%c0] : memref<5xf32, #gpu.address_space<workgroup>>
      gpu.barrier
      %x = memref.load %one[%c0] : memref<5xf32, #gpu.address_space<workgroup>>
      memref.store %x, %two[%thread] : memref<32xf32, #gpu.address_space<workgroup>>
      %byte = memref.load %space[%thread] : memref<64xi8>
      memref.store %byte, %space[%c0] : memref<64xi8>
      %y = memref.load %a[%thread] : memref<64xf32>
      %code = arith.constant 1 : i32
      %old = memref.atomic_rmw maxs %code, %status[] : (i32, memref<i32>) -> i32
    } {mapping = [#gpu.thread<x>]}
  } {mapping = [#gpu.block<x>]}
  return
}

// -----

// A loop of pure ops between launches, as remainders are expanded into, is made again in the entry.
// CHECK: gpu.func @k_loop_0
// CHECK: %[[REST:.*]] = scf.while
// CHECK: scf.condition
// CHECK: memref.store %[[REST]]
// CHECK-NOT: func.func
func.func @k_loop(%p: memref<f32>, %s: i64, %w: memref<i8>, %status: memref<i32>)
    attributes {stepwell.workspace = 0 : i64} {
  %m = memref.reinterpret_cast %p to offset: [0], sizes: [32], strides: [1] : memref<f32> to memref<32xf32>
  %x = arith.sitofp %s : i64 to f32
  %y = arith.constant 2.5 : f32
  %rest = scf.while (%left = %x) : (f32) -> f32 {
    %more = arith.cmpf oge, %left, %y : f32
    scf.condition(%more) %left : f32
  } do {
  ^bb0(%left: f32):
    %less = arith.subf %left, %y : f32
    scf.yield %less : f32
  }
  scf.forall (%block) in (1) {
    scf.forall (%thread) in (32) {
      memref.store %rest, %m[%thread] : memref<32xf32>
    } {mapping = [#gpu.thread<x>]}
  } {mapping = [#gpu.block<x>]}
  return
}

// -----

// Functions without launches are none of its business.
// CHECK-LABEL: func.func @loops
// CHECK: scf.forall
// CHECK-NOT: gpu.module
func.func @loops(%w: memref<i8>, %status: memref<i32>) {
  scf.forall (%i) in (4) {
  }
  return
}
