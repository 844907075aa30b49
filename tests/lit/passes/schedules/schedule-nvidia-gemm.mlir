// RUN: stepwell-opt %s --schedule-nvidia=target=cuda:sm_80 --split-input-file | FileCheck %s

// Few tiles and a long depth: parts of the sums go to the workspace, and a second launch adds them up, in order.
// CHECK-LABEL: func.func @split
// CHECK-SAME: stepwell.schedule = "gemm"
// CHECK-SAME: stepwell.workspace = "{{[1-9][0-9]+}}"
// CHECK: memref.alloca() {{.*}}stepwell.name = "left"} {{.*}}, #gpu.address_space<workgroup>>
// CHECK: memref.alloca() {{.*}}stepwell.name = "right"}
// CHECK: gpu.barrier
// CHECK: vector.fma
// CHECK: stepwell.when = "aligned"
// CHECK: stepwell.when = "unaligned"
// CHECK-NOT: gpu.barrier
// CHECK: vector.store {{.*}} vector<4xf32>
// CHECK: stepwell.when = "aligned"
// CHECK: stepwell.when = "unaligned"
module @k0 {
  func.func @split(%a: tensor<64x16384xf32>, %b: tensor<16384x64xf32>) -> tensor<64x64xf32> {
    %zero = arith.constant 0.0 : f32
    %empty = tensor.empty() : tensor<64x64xf32>
    %zeros = linalg.fill ins(%zero : f32) outs(%empty : tensor<64x64xf32>) -> tensor<64x64xf32>
    %sums = linalg.generic {
        indexing_maps = [affine_map<(m, n, k) -> (m, k)>, affine_map<(m, n, k) -> (k, n)>, affine_map<(m, n, k) -> (m, n)>],
        iterator_types = ["parallel", "parallel", "reduction"]}
        ins(%a, %b : tensor<64x16384xf32>, tensor<16384x64xf32>) outs(%zeros : tensor<64x64xf32>) {
    ^bb0(%x: f32, %y: f32, %s: f32):
      %p = arith.mulf %x, %y : f32
      %q = arith.addf %s, %p : f32
      linalg.yield %q : f32
    } -> tensor<64x64xf32>
    return %sums : tensor<64x64xf32>
  }
}

// -----

// Sizes known late: the number of blocks is an expression, and tiles at the end are cut off by conditions.
// CHECK-LABEL: func.func @late
// CHECK-SAME: stepwell.schedule = "gemm"
// CHECK-SAME: stepwell.workspace = "0"
// CHECK: arith.cmpi slt
// CHECK: stepwell.blocks = "{{.*}}s0{{.*}}"
module @k1 {
  func.func @late(%a: tensor<?x64xi32> {stepwell.sizes = ["s0"]}, %b: tensor<64x48xi32>,
      %s: index {stepwell.symbol = "s0"}) -> tensor<?x48xi32> attributes {stepwell.result_sizes = [["s0"]]} {
    %zero = arith.constant 0 : i32
    %empty = tensor.empty(%s) : tensor<?x48xi32>
    %zeros = linalg.fill ins(%zero : i32) outs(%empty : tensor<?x48xi32>) -> tensor<?x48xi32>
    %sums = linalg.generic {
        indexing_maps = [affine_map<(m, n, k) -> (m, k)>, affine_map<(m, n, k) -> (k, n)>, affine_map<(m, n, k) -> (m, n)>],
        iterator_types = ["parallel", "parallel", "reduction"]}
        ins(%a, %b : tensor<?x64xi32>, tensor<64x48xi32>) outs(%zeros : tensor<?x48xi32>) {
    ^bb0(%x: i32, %y: i32, %t: i32):
      %p = arith.muli %x, %y : i32
      %q = arith.addi %t, %p : i32
      linalg.yield %q : i32
    } -> tensor<?x48xi32>
    return %sums : tensor<?x48xi32>
  }
}

// -----

// Nothing is reused: a row of dot products is left to the next rule, with the reason.
// CHECK-LABEL: func.func @dots
// CHECK-SAME: "gemm: one operand has no loop of its own: nothing is reused"
// CHECK-NOT: stepwell.schedule = "gemm"
module @k2 {
  func.func @dots(%a: tensor<40x9xf32>, %b: tensor<40x9xf32>) -> tensor<40xf32> {
    %zero = arith.constant 0.0 : f32
    %empty = tensor.empty() : tensor<40xf32>
    %zeros = linalg.fill ins(%zero : f32) outs(%empty : tensor<40xf32>) -> tensor<40xf32>
    %sums = linalg.generic {
        indexing_maps = [affine_map<(m, k) -> (m, k)>, affine_map<(m, k) -> (m, k)>, affine_map<(m, k) -> (m)>],
        iterator_types = ["parallel", "reduction"]}
        ins(%a, %b : tensor<40x9xf32>, tensor<40x9xf32>) outs(%zeros : tensor<40xf32>) {
    ^bb0(%x: f32, %y: f32, %s: f32):
      %p = arith.mulf %x, %y : f32
      %q = arith.addf %s, %p : f32
      linalg.yield %q : f32
    } -> tensor<40xf32>
    return %sums : tensor<40xf32>
  }
}
