// RUN: stepwell-opt %s --schedule-cpu=target=cpu:x86-64-v3 --split-input-file | FileCheck %s
// RUN: stepwell-opt %s --schedule-cpu=target=cpu:x86-64-v4 --split-input-file | FileCheck %s --check-prefix=WIDE

// A contiguous nest becomes one loop; the function gets pointers, sizes, a workspace and a status slot.
// CHECK-LABEL: func.func @contiguous
// CHECK-SAME: (%[[X:.*]]: memref<f32>, %[[Y:.*]]: memref<f32>, %[[Z:.*]]: memref<f32>, %[[SIZE:.*]]: i64,
// CHECK-SAME: %{{.*}}: memref<i8>, %{{.*}}: memref<i32>)
// CHECK-SAME: stepwell.schedule = "pointwise"
// CHECK: scf.forall
// CHECK: scf.for
// CHECK: vector.load {{.*}} vector<8xf32>
// CHECK: arith.addf {{.*}} vector<8xf32>
// CHECK: vector.store {{.*}} vector<8xf32>
// CHECK: vector.create_mask
// CHECK: vector.maskedload
// CHECK: vector.maskedstore
// CHECK: stepwell.grain
// WIDE-LABEL: func.func @contiguous
// WIDE: vector<16xf32>
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

// Bool is stored as bytes; a transposed operand is gathered, one that lanes share is loaded once per row.
// CHECK-LABEL: func.func @mixed
// CHECK-SAME: memref<f32>, %{{.*}}: memref<f32>, %{{.*}}: memref<i8>
// CHECK: memref.load {{.*}} memref<3xf32>
// CHECK: vector.gather
// CHECK: arith.cmpf {{.*}} vector<8xf32>
// CHECK: arith.extui {{.*}} vector<8xi1> to vector<8xi8>
// WIDE-LABEL: func.func @mixed
module @k0 {
  func.func @mixed(%x: tensor<16x3xf32>, %row: tensor<3xf32>) -> tensor<3x16xi1> {
    %empty = tensor.empty() : tensor<3x16xi1>
    %less = linalg.generic {
      indexing_maps = [affine_map<(i, j) -> (j, i)>, affine_map<(i, j) -> (i)>, affine_map<(i, j) -> (i, j)>],
      iterator_types = ["parallel", "parallel"]}
      ins(%x, %row : tensor<16x3xf32>, tensor<3xf32>) outs(%empty : tensor<3x16xi1>) {
    ^bb0(%a: f32, %b: f32, %o: i1):
      %r = arith.cmpf olt, %a, %b : f32
      linalg.yield %r : i1
    } -> tensor<3x16xi1>
    return %less : tensor<3x16xi1>
  }
}

// -----

// Lanes along the row: partial sums, joined at the end of the row.
// CHECK-LABEL: func.func @row_sums
// CHECK-SAME: stepwell.schedule = "rows"
// CHECK: scf.for
// CHECK: %[[PARTS:.*]]:4 = scf.for {{.*}} -> (vector<8xf32>, vector<8xf32>, vector<8xf32>, vector<8xf32>)
// CHECK: vector.shuffle
// CHECK: vector.extract
// CHECK: memref.store
// WIDE-LABEL: func.func @row_sums
module @k0 {
  func.func @row_sums(%x: tensor<4x96xf32>) -> tensor<4xf32> {
    %zero = arith.constant 0.0 : f32
    %empty = tensor.empty() : tensor<4xf32>
    %start = linalg.fill ins(%zero : f32) outs(%empty : tensor<4xf32>) -> tensor<4xf32>
    %sum = linalg.generic {
      indexing_maps = [affine_map<(i, j) -> (i, j)>, affine_map<(i, j) -> (i)>],
      iterator_types = ["parallel", "reduction"]} ins(%x : tensor<4x96xf32>) outs(%start : tensor<4xf32>) {
    ^bb0(%a: f32, %o: f32):
      %r = arith.addf %o, %a : f32
      linalg.yield %r : f32
    } -> tensor<4xf32>
    return %sum : tensor<4xf32>
  }
}

// -----

// Lanes across rows where those are contiguous: no lane is ever joined with another.
// CHECK-LABEL: func.func @column_sums
// CHECK-SAME: stepwell.schedule = "rows"
// CHECK: scf.for {{.*}} -> (vector<8xf32>
// CHECK-NOT: vector.shuffle
// CHECK: vector.store
// WIDE-LABEL: func.func @column_sums
module @k0 {
  func.func @column_sums(%x: tensor<96x64xf32>) -> tensor<64xf32> {
    %zero = arith.constant 0.0 : f32
    %empty = tensor.empty() : tensor<64xf32>
    %start = linalg.fill ins(%zero : f32) outs(%empty : tensor<64xf32>) -> tensor<64xf32>
    %sum = linalg.generic {
      indexing_maps = [affine_map<(i, j) -> (i, j)>, affine_map<(i, j) -> (j)>],
      iterator_types = ["reduction", "parallel"]} ins(%x : tensor<96x64xf32>) outs(%start : tensor<64xf32>) {
    ^bb0(%a: f32, %o: f32):
      %r = arith.addf %o, %a : f32
      linalg.yield %r : f32
    } -> tensor<64xf32>
    return %sum : tensor<64xf32>
  }
}

// -----

// A failing check stores its number; the messages stay on the function.
// CHECK-LABEL: func.func @checked
// CHECK-SAME: stepwell.asserts = ["index-out-of-range: take"]
// CHECK: scf.if
// CHECK-NEXT: memref.store %{{.*}}, %{{.*}}[] : memref<i32>
// WIDE-LABEL: func.func @checked
module @k0 {
  func.func @checked(%x: tensor<64xf32>, %at: tensor<8xi64>) -> tensor<8xf32> {
    %empty = tensor.empty() : tensor<8xf32>
    %taken = linalg.generic {
      indexing_maps = [affine_map<(i) -> (i)>, affine_map<(i) -> (i)>], iterator_types = ["parallel"]}
      ins(%at : tensor<8xi64>) outs(%empty : tensor<8xf32>) {
    ^bb0(%a: i64, %o: f32):
      %size = arith.constant 64 : i64
      %zero = arith.constant 0 : i64
      %ok = arith.cmpi ult, %a, %size : i64
      cf.assert %ok, "index-out-of-range: take"
      %safe = arith.select %ok, %a, %zero : i64
      %index = arith.index_cast %safe : i64 to index
      %r = tensor.extract %x[%index] : tensor<64xf32>
      linalg.yield %r : f32
    } -> tensor<8xf32>
    return %taken : tensor<8xf32>
  }
}
