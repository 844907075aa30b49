// RUN: stepwell-opt %s --schedule-nvidia=target=cuda:sm_90a --split-input-file | FileCheck %s
// RUN: stepwell-opt %s --schedule-nvidia=target=cuda:sm_80 --split-input-file | FileCheck %s

// Vectors of 16 bytes where pointers are aligned, single elements where they are not; the last vector may stand over.
// CHECK-LABEL: func.func @contiguous
// CHECK-SAME: (%{{.*}}: memref<f32>, %{{.*}}: memref<f32>, %{{.*}}: memref<f32>, %[[SIZE:.*]]: i64,
// CHECK-SAME: %{{.*}}: memref<i8>, %{{.*}}: memref<i32>)
// CHECK-SAME: stepwell.schedule = "pointwise"
// CHECK: scf.forall
// CHECK: scf.forall (%{{.*}}) in (256)
// CHECK: %[[INSIDE:.*]] = arith.andi
// CHECK: scf.if %[[INSIDE]] {
// CHECK-COUNT-4: vector.load {{.*}} vector<4xf32>
// CHECK-COUNT-2: vector.store {{.*}} vector<4xf32>
// CHECK: } else {
// CHECK: arith.cmpi slt
// CHECK-NEXT: scf.if
// CHECK: memref.store
// CHECK: mapping = [#gpu.thread<x>]
// CHECK-NEXT: mapping = [#gpu.block<x>], stepwell.blocks = "((6*s0 + 2047) // 2048)", stepwell.when = "aligned"
// CHECK: scf.forall
// CHECK-NOT: vector.load
// CHECK: stepwell.when = "unaligned"
module @k0 {
  func.func @contiguous(%x: tensor<?x6xf32> {stepwell.sizes = ["s0"]}, %y: tensor<?x6xf32> {stepwell.sizes = ["s0"]},
      %s: index {stepwell.symbol = "s0"}) -> tensor<?x6xf32> attributes {stepwell.result_sizes = [["s0"]]} {
    %empty = tensor.empty(%s) : tensor<?x6xf32>
    %sum = linalg.generic {
      indexing_maps = [affine_map<(i, j) -> (i, j)>, affine_map<(i, j) -> (i, j)>, affine_map<(i, j) -> (i, j)>],
      iterator_types = ["parallel", "parallel"]}
      ins(%x, %y : tensor<?x6xf32>, tensor<?x6xf32>) outs(%empty : tensor<?x6xf32>) {
    ^bb0(%a: f32, %b: f32, %o: f32):
      %r = arith.addf %a, %b : f32
      linalg.yield %r : f32
    } -> tensor<?x6xf32>
    return %sum : tensor<?x6xf32>
  }
}

// -----

// A row's bias is read once for all rows of a thread; whole tiles need no tests.
// CHECK-LABEL: func.func @bias
// CHECK-SAME: 16384 rows of 512; vectors of 4 {{.*}}; 4 per thread; 2x128 threads; 2048 blocks
// CHECK: scf.forall (%{{.*}}) in (256)
// CHECK: %[[BIAS:.*]] = vector.load %{{.*}} : memref<512xf32>, vector<4xf32>
// CHECK-COUNT-4: arith.addf %{{.*}}, %[[BIAS]]
// CHECK-NOT: scf.if
// CHECK: stepwell.when = "aligned"
module @k0 {
  func.func @bias(%x: tensor<16384x512xf32>, %b: tensor<512xf32>) -> tensor<16384x512xf32> {
    %empty = tensor.empty() : tensor<16384x512xf32>
    %sum = linalg.generic {
      indexing_maps = [affine_map<(i, j) -> (i, j)>, affine_map<(i, j) -> (j)>, affine_map<(i, j) -> (i, j)>],
      iterator_types = ["parallel", "parallel"]}
      ins(%x, %b : tensor<16384x512xf32>, tensor<512xf32>) outs(%empty : tensor<16384x512xf32>) {
    ^bb0(%a: f32, %c: f32, %o: f32):
      %r = arith.addf %a, %c : f32
      linalg.yield %r : f32
    } -> tensor<16384x512xf32>
    return %sum : tensor<16384x512xf32>
  }
}

// -----

// A transposition: both sides of shared memory are contiguous, and a row of the tile is one element longer than it holds.
// CHECK-LABEL: func.func @transposed
// CHECK-SAME: tiles of 32x32 go through shared memory
// CHECK: scf.forall (%{{.*}}) in (8)
// CHECK: %[[TILE:.*]] = memref.alloca() {{.*}}stepwell.name = "tile0"{{.*}} : memref<1056xf32, #gpu.address_space<workgroup>>
// CHECK: scf.forall (%{{.*}}) in (256)
// CHECK-COUNT-4: memref.load %{{.*}} : memref<8192xf32>
// CHECK-COUNT-4: memref.store %{{.*}}, %[[TILE]]
// CHECK: gpu.barrier
// CHECK-COUNT-4: memref.load %[[TILE]]
// CHECK-COUNT-4: memref.store %{{.*}} : memref<8192xf32>
module @k0 {
  func.func @transposed(%x: tensor<64x128xf32>) -> tensor<128x64xf32> {
    %empty = tensor.empty() : tensor<128x64xf32>
    %turned = linalg.generic {
      indexing_maps = [affine_map<(i, j) -> (j, i)>, affine_map<(i, j) -> (i, j)>],
      iterator_types = ["parallel", "parallel"]}
      ins(%x : tensor<64x128xf32>) outs(%empty : tensor<128x64xf32>) {
    ^bb0(%a: f32, %o: f32):
      %r = math.absf %a : f32
      linalg.yield %r : f32
    } -> tensor<128x64xf32>
    return %turned : tensor<128x64xf32>
  }
}

// -----

// Parts that begin and end at whole vectors are read as vectors, under one test per vector.
// CHECK-LABEL: func.func @joined
// CHECK: scf.if
// CHECK: %{{.*}} = scf.if %{{.*}} -> (vector<8xf16>)
// CHECK-NEXT: vector.load
// CHECK: vector.load
// CHECK-NOT: vector.maskedload
// CHECK: return
module @k0 {
  func.func @joined(%x: tensor<4x64xf16>, %y: tensor<4x24xf16>) -> tensor<4x88xf16> {
    %all = tensor.concat dim(1) %x, %y : (tensor<4x64xf16>, tensor<4x24xf16>) -> tensor<4x88xf16>
    return %all : tensor<4x88xf16>
  }
}

// -----

// Rows of a running sum: one thread each, by the rule that takes every kernel.
// CHECK-LABEL: func.func @running
// CHECK-SAME: "no other rule takes this kernel", "launch 0: 5 iterations in 32 threads per block"
// CHECK-SAME: stepwell.schedule = "fallback"
// CHECK: scf.forall (%{{.*}}) in (1)
// CHECK: scf.if
// CHECK: scf.for
// CHECK: mapping = [#gpu.block<x>], stepwell.blocks = "1"
module @k0 {
  func.func @running(%x: tensor<5x8xi64>) -> tensor<5x8xi64> {
    %c0 = arith.constant 0 : index
    %c1 = arith.constant 1 : index
    %c8 = arith.constant 8 : index
    %zero = arith.constant 0 : i64
    %empty = tensor.empty() : tensor<5x8xi64>
    %all = scf.forall (%i) in (5) shared_outs(%o = %empty) -> tensor<5x8xi64> {
      %part = tensor.extract_slice %o[%i, 0] [1, 8] [1, 1] : tensor<5x8xi64> to tensor<8xi64>
      %row:2 = scf.for %j = %c0 to %c8 step %c1 iter_args(%t = %part, %sum = %zero) -> (tensor<8xi64>, i64) {
        %value = tensor.extract %x[%i, %j] : tensor<5x8xi64>
        %next = arith.addi %sum, %value : i64
        %u = tensor.insert %next into %t[%j] : tensor<8xi64>
        scf.yield %u, %next : tensor<8xi64>, i64
      }
      scf.forall.in_parallel {
        tensor.parallel_insert_slice %row#0 into %o[%i, 0] [1, 8] [1, 1] : tensor<8xi64> into tensor<5x8xi64>
      }
    }
    return %all : tensor<5x8xi64>
  }
}
