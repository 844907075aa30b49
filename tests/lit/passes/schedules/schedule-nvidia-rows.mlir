// RUN: stepwell-opt %s --schedule-nvidia=target=cuda:sm_90a --split-input-file | FileCheck %s

// A block per row: the row is read once, four vectors of it by each thread, and joined over warps through shared memory,
// once for the maximum and once for the sum.
// CHECK-LABEL: func.func @block_per_row
// CHECK-SAME: 64 threads per row, 2 rows per block of 128
// CHECK-SAME: rows are read once and kept in registers
// CHECK-SAME: stepwell.schedule = "rows"
// CHECK: memref.alloca() {{.*}}workgroup
// CHECK: scf.forall (%{{.*}}) in (128)
// CHECK-COUNT-4: vector.load %{{.*}} : memref<4194304xf32>, vector<4xf32>
// CHECK-COUNT-5: gpu.shuffle xor
// CHECK: gpu.barrier
// CHECK-COUNT-5: gpu.shuffle xor
// CHECK: gpu.barrier
// CHECK-NOT: vector.load
// CHECK-COUNT-4: vector.store
// CHECK: stepwell.blocks = "2048", stepwell.min_blocks = 8 : i64, stepwell.when = "aligned"
// CHECK: stepwell.when = "unaligned"
module @k0 {
  func.func @block_per_row(%x: tensor<4096x1024xf32>) -> tensor<4096x1024xf32> {
    %low = arith.constant 0xFF800000 : f32
    %zero = arith.constant 0.0 : f32
    %rows = tensor.empty() : tensor<4096xf32>
    %tops = linalg.fill ins(%low : f32) outs(%rows : tensor<4096xf32>) -> tensor<4096xf32>
    %top = linalg.generic {
      indexing_maps = [affine_map<(i, j) -> (i, j)>, affine_map<(i, j) -> (i)>],
      iterator_types = ["parallel", "reduction"]}
      ins(%x : tensor<4096x1024xf32>) outs(%tops : tensor<4096xf32>) {
    ^bb0(%a: f32, %o: f32):
      %r = arith.maximumf %o, %a : f32
      linalg.yield %r : f32
    } -> tensor<4096xf32>
    %all = tensor.empty() : tensor<4096x1024xf32>
    %exp = linalg.generic {
      indexing_maps = [affine_map<(i, j) -> (i, j)>, affine_map<(i, j) -> (i)>, affine_map<(i, j) -> (i, j)>],
      iterator_types = ["parallel", "parallel"]}
      ins(%x, %top : tensor<4096x1024xf32>, tensor<4096xf32>) outs(%all : tensor<4096x1024xf32>) {
    ^bb0(%a: f32, %b: f32, %o: f32):
      %d = arith.subf %a, %b : f32
      %r = math.exp %d : f32
      linalg.yield %r : f32
    } -> tensor<4096x1024xf32>
    %sums = linalg.fill ins(%zero : f32) outs(%rows : tensor<4096xf32>) -> tensor<4096xf32>
    %sum = linalg.generic {
      indexing_maps = [affine_map<(i, j) -> (i, j)>, affine_map<(i, j) -> (i)>],
      iterator_types = ["parallel", "reduction"]}
      ins(%exp : tensor<4096x1024xf32>) outs(%sums : tensor<4096xf32>) {
    ^bb0(%a: f32, %o: f32):
      %r = arith.addf %o, %a : f32
      linalg.yield %r : f32
    } -> tensor<4096xf32>
    %result = linalg.generic {
      indexing_maps = [affine_map<(i, j) -> (i, j)>, affine_map<(i, j) -> (i)>, affine_map<(i, j) -> (i, j)>],
      iterator_types = ["parallel", "parallel"]}
      ins(%exp, %sum : tensor<4096x1024xf32>, tensor<4096xf32>) outs(%all : tensor<4096x1024xf32>) {
    ^bb0(%a: f32, %b: f32, %o: f32):
      %r = arith.divf %a, %b : f32
      linalg.yield %r : f32
    } -> tensor<4096x1024xf32>
    return %result : tensor<4096x1024xf32>
  }
}

// -----

// A warp serves four rows: threads that have no row of their own repeat the last one, and store nothing.
// CHECK-LABEL: func.func @several_rows_per_warp
// CHECK-SAME: 8 threads per row, 16 rows per block of 128
// CHECK: %[[ROW:.*]] = arith.minsi
// CHECK: gpu.shuffle xor %{{.*}}, %c1_i32
// CHECK: gpu.shuffle xor %{{.*}}, %c2_i32
// CHECK: gpu.shuffle xor %{{.*}}, %c4_i32
// CHECK-NOT: gpu.barrier
// CHECK: scf.if
// CHECK-NEXT: vector.store
module @k0 {
  func.func @several_rows_per_warp(%x: tensor<1001x32xf32>) -> tensor<1001x32xf32> {
    %low = arith.constant 0xFF800000 : f32
    %zero = arith.constant 0.0 : f32
    %rows = tensor.empty() : tensor<1001xf32>
    %tops = linalg.fill ins(%low : f32) outs(%rows : tensor<1001xf32>) -> tensor<1001xf32>
    %top = linalg.generic {
      indexing_maps = [affine_map<(i, j) -> (i, j)>, affine_map<(i, j) -> (i)>],
      iterator_types = ["parallel", "reduction"]}
      ins(%x : tensor<1001x32xf32>) outs(%tops : tensor<1001xf32>) {
    ^bb0(%a: f32, %o: f32):
      %r = arith.maximumf %o, %a : f32
      linalg.yield %r : f32
    } -> tensor<1001xf32>
    %all = tensor.empty() : tensor<1001x32xf32>
    %exp = linalg.generic {
      indexing_maps = [affine_map<(i, j) -> (i, j)>, affine_map<(i, j) -> (i)>, affine_map<(i, j) -> (i, j)>],
      iterator_types = ["parallel", "parallel"]}
      ins(%x, %top : tensor<1001x32xf32>, tensor<1001xf32>) outs(%all : tensor<1001x32xf32>) {
    ^bb0(%a: f32, %b: f32, %o: f32):
      %d = arith.subf %a, %b : f32
      %r = math.exp %d : f32
      linalg.yield %r : f32
    } -> tensor<1001x32xf32>
    %sums = linalg.fill ins(%zero : f32) outs(%rows : tensor<1001xf32>) -> tensor<1001xf32>
    %sum = linalg.generic {
      indexing_maps = [affine_map<(i, j) -> (i, j)>, affine_map<(i, j) -> (i)>],
      iterator_types = ["parallel", "reduction"]}
      ins(%exp : tensor<1001x32xf32>) outs(%sums : tensor<1001xf32>) {
    ^bb0(%a: f32, %o: f32):
      %r = arith.addf %o, %a : f32
      linalg.yield %r : f32
    } -> tensor<1001xf32>
    %result = linalg.generic {
      indexing_maps = [affine_map<(i, j) -> (i, j)>, affine_map<(i, j) -> (i)>, affine_map<(i, j) -> (i, j)>],
      iterator_types = ["parallel", "parallel"]}
      ins(%exp, %sum : tensor<1001x32xf32>, tensor<1001xf32>) outs(%all : tensor<1001x32xf32>) {
    ^bb0(%a: f32, %b: f32, %o: f32):
      %r = arith.divf %a, %b : f32
      linalg.yield %r : f32
    } -> tensor<1001x32xf32>
    return %result : tensor<1001x32xf32>
  }
}

// -----

// Columns: neighbouring threads at neighbouring columns, two warps for every other row each, joined in shared memory.
// CHECK-LABEL: func.func @columns
// CHECK-SAME: 2 threads per row, 64 rows per block of 128: neighbouring threads at 32 neighbouring rows
// CHECK-COUNT-32: memref.load %{{.*}} : memref<6400000xf32>
// CHECK-NOT: gpu.shuffle
// CHECK: gpu.barrier
// CHECK-COUNT-2: memref.load {{.*}}workgroup
module @k0 {
  func.func @columns(%x: tensor<64x100000xf32>) -> tensor<100000xf32> {
    %zero = arith.constant 0.0 : f32
    %empty = tensor.empty() : tensor<100000xf32>
    %start = linalg.fill ins(%zero : f32) outs(%empty : tensor<100000xf32>) -> tensor<100000xf32>
    %sum = linalg.generic {indexing_maps = [affine_map<(i, j) -> (i, j)>, affine_map<(i, j) -> (j)>], iterator_types = ["reduction", "parallel"]}
      ins(%x : tensor<64x100000xf32>) outs(%start : tensor<100000xf32>) {
    ^bb0(%a: f32, %o: f32):
      %r = arith.addf %o, %a : f32
      linalg.yield %r : f32
    } -> tensor<100000xf32>
    return %sum : tensor<100000xf32>
  }
}

// -----

// A whole tensor: 264 blocks leave their sums in the workspace, a further launch joins them.
// CHECK-LABEL: func.func @whole
// CHECK-SAME: 264 blocks share a row
// CHECK-SAME: stepwell.workspace = 1088 : i64
// CHECK: memref.store %{{.*}}, %{{.*}} : memref<264xf32>
// CHECK: stepwell.blocks = "264"{{.*}}stepwell.when = "aligned"
// CHECK: stepwell.blocks = "264"{{.*}}stepwell.when = "unaligned"
// CHECK: memref.load %{{.*}} : memref<264xf32>
// CHECK: stepwell.blocks = "1"
module @k0 {
  func.func @whole(%x: tensor<16777216xf32>) -> tensor<f32> {
    %zero = arith.constant 0.0 : f32
    %empty = tensor.empty() : tensor<f32>
    %start = linalg.fill ins(%zero : f32) outs(%empty : tensor<f32>) -> tensor<f32>
    %sum = linalg.generic {indexing_maps = [affine_map<(i) -> (i)>, affine_map<(i) -> ()>], iterator_types = ["reduction"]}
      ins(%x : tensor<16777216xf32>) outs(%start : tensor<f32>) {
    ^bb0(%a: f32, %o: f32):
      %r = arith.addf %o, %a : f32
      linalg.yield %r : f32
    } -> tensor<f32>
    return %sum : tensor<f32>
  }
}

// -----

// Rows of unknown length: one loop carries the maximum and the sum so far, which a grown maximum scales down; both are
// joined together, and a row is read once more for the result.
// CHECK-LABEL: func.func @online
// CHECK-SAME: online: powers are summed relative to the maximum so far
// CHECK-SAME: stepwell.schedule = "rows"
// CHECK: scf.for {{.*}} iter_args({{.*}}) -> (vector<4xf32>, vector<4xf32>)
// CHECK: %[[X:[0-9]+]] = arith.maximumf
// CHECK: %[[TOP:[0-9]+]] = arith.maximumf %[[OLD:[a-z0-9]+]], %[[X]]
// CHECK: %[[GROWS:[0-9]+]] = arith.cmpf ogt, %[[X]], %[[OLD]]
// CHECK: %[[SMALLER:[0-9]+]] = arith.select %[[GROWS]], %[[OLD]], %[[X]]
// CHECK: %[[NOTHING:[0-9]+]] = arith.cmpf oeq, %[[TOP]]
// CHECK: %[[REFERENCE:[0-9]+]] = arith.select %[[NOTHING]], %{{[a-z_0-9]+}}, %[[TOP]]
// CHECK: %[[BELOW:[0-9]+]] = arith.subf %[[SMALLER]], %[[REFERENCE]]
// CHECK: math.exp %[[BELOW]]
// CHECK-COUNT-2: gpu.shuffle xor
// CHECK: gpu.barrier
// CHECK-NOT: gpu.barrier
// CHECK: vector.store
// CHECK: stepwell.when = "aligned"
module @k0 {
  func.func @online(%x: tensor<?x?xf32> {stepwell.sizes = ["s0", "s1"]}, %s0: index {stepwell.symbol = "s0"}, %s1: index {stepwell.symbol = "s1"}) -> tensor<?x?xf32> attributes {stepwell.result_sizes = [["s0", "s1"]]} {
    %low = arith.constant 0xFF800000 : f32
    %zero = arith.constant 0.0 : f32
    %rows = tensor.empty(%s0) : tensor<?xf32>
    %tops = linalg.fill ins(%low : f32) outs(%rows : tensor<?xf32>) -> tensor<?xf32>
    %top = linalg.generic {
      indexing_maps = [affine_map<(i, j) -> (i, j)>, affine_map<(i, j) -> (i)>],
      iterator_types = ["parallel", "reduction"]}
      ins(%x : tensor<?x?xf32>) outs(%tops : tensor<?xf32>) {
    ^bb0(%a: f32, %o: f32):
      %r = arith.maximumf %o, %a : f32
      linalg.yield %r : f32
    } -> tensor<?xf32>
    %all = tensor.empty(%s0, %s1) : tensor<?x?xf32>
    %exp = linalg.generic {
      indexing_maps = [affine_map<(i, j) -> (i, j)>, affine_map<(i, j) -> (i)>, affine_map<(i, j) -> (i, j)>],
      iterator_types = ["parallel", "parallel"]}
      ins(%x, %top : tensor<?x?xf32>, tensor<?xf32>) outs(%all : tensor<?x?xf32>) {
    ^bb0(%a: f32, %b: f32, %o: f32):
      %d = arith.subf %a, %b : f32
      %r = math.exp %d : f32
      linalg.yield %r : f32
    } -> tensor<?x?xf32>
    %sums = linalg.fill ins(%zero : f32) outs(%rows : tensor<?xf32>) -> tensor<?xf32>
    %sum = linalg.generic {
      indexing_maps = [affine_map<(i, j) -> (i, j)>, affine_map<(i, j) -> (i)>],
      iterator_types = ["parallel", "reduction"]}
      ins(%exp : tensor<?x?xf32>) outs(%sums : tensor<?xf32>) {
    ^bb0(%a: f32, %o: f32):
      %r = arith.addf %o, %a : f32
      linalg.yield %r : f32
    } -> tensor<?xf32>
    %result = linalg.generic {
      indexing_maps = [affine_map<(i, j) -> (i, j)>, affine_map<(i, j) -> (i)>, affine_map<(i, j) -> (i, j)>],
      iterator_types = ["parallel", "parallel"]}
      ins(%exp, %sum : tensor<?x?xf32>, tensor<?xf32>) outs(%all : tensor<?x?xf32>) {
    ^bb0(%a: f32, %b: f32, %o: f32):
      %r = arith.divf %a, %b : f32
      linalg.yield %r : f32
    } -> tensor<?x?xf32>
    return %result : tensor<?x?xf32>
  }
}
