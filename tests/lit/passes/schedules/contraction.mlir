// RUN: stepwell-opt %s --split-input-file --schedule-cpu=target=cpu:x86-64-v3 | FileCheck %s
// RUN: stepwell-opt %s --split-input-file --schedule-cpu=target=cpu:x86-64-v4 | FileCheck %s --check-prefix=V4

// A matrix product: the right operand is packed, sums are carried in registers, the bias is added to a finished tile.
// CHECK-LABEL: func.func @matmul
// CHECK-SAME: stepwell.schedule = "contraction"
// CHECK: scf.forall
// CHECK: vector.load
// CHECK: vector.store
// CHECK: scf.for {{.*}} iter_args
// CHECK-COUNT-12: vector.fma {{.*}} : vector<8xf32>
// CHECK: scf.yield
// CHECK: arith.addf
// V4-LABEL: func.func @matmul
// V4-COUNT-24: vector.fma {{.*}} : vector<16xf32>
func.func @matmul(%a: tensor<192x256xf32>, %b: tensor<256x256xf32>, %bias: tensor<256xf32>) -> tensor<192x256xf32> {
  %zero = arith.constant 0.0 : f32
  %empty = tensor.empty() : tensor<192x256xf32>
  %zeros = linalg.fill ins(%zero : f32) outs(%empty : tensor<192x256xf32>) -> tensor<192x256xf32>
  %sums = linalg.generic {
      indexing_maps = [affine_map<(m, n, k) -> (m, k)>, affine_map<(m, n, k) -> (k, n)>, affine_map<(m, n, k) -> (m, n)>],
      iterator_types = ["parallel", "parallel", "reduction"]}
      ins(%a, %b : tensor<192x256xf32>, tensor<256x256xf32>) outs(%zeros : tensor<192x256xf32>) {
  ^bb0(%x: f32, %y: f32, %s: f32):
    %p = arith.mulf %x, %y : f32
    %q = arith.addf %s, %p : f32
    linalg.yield %q : f32
  } -> tensor<192x256xf32>
  %done = linalg.generic {
      indexing_maps = [affine_map<(m, n) -> (m, n)>, affine_map<(m, n) -> (n)>, affine_map<(m, n) -> (m, n)>],
      iterator_types = ["parallel", "parallel"]}
      ins(%sums, %bias : tensor<192x256xf32>, tensor<256xf32>) outs(%empty : tensor<192x256xf32>) {
  ^bb0(%x: f32, %y: f32, %o: f32):
    %q = arith.addf %x, %y : f32
    linalg.yield %q : f32
  } -> tensor<192x256xf32>
  return %done : tensor<192x256xf32>
}

// -----

// A matrix-vector product with weights along the depth: nothing is packed, lanes are joined at the end.
// CHECK-LABEL: func.func @gemv
// CHECK-SAME: stepwell.workspace = 0
// CHECK: scf.for {{.*}} iter_args
// CHECK-COUNT-8: vector.fma
// CHECK: scf.yield
// CHECK: vector.shuffle
// CHECK: vector.store
func.func @gemv(%a: tensor<1x64xf32>, %b: tensor<512x64xf32>) -> tensor<1x512xf32> {
  %zero = arith.constant 0.0 : f32
  %empty = tensor.empty() : tensor<1x512xf32>
  %zeros = linalg.fill ins(%zero : f32) outs(%empty : tensor<1x512xf32>) -> tensor<1x512xf32>
  %sums = linalg.generic {
      indexing_maps = [affine_map<(m, n, k) -> (m, k)>, affine_map<(m, n, k) -> (n, k)>, affine_map<(m, n, k) -> (m, n)>],
      iterator_types = ["parallel", "parallel", "reduction"]}
      ins(%a, %b : tensor<1x64xf32>, tensor<512x64xf32>) outs(%zeros : tensor<1x512xf32>) {
  ^bb0(%x: f32, %y: f32, %s: f32):
    %p = arith.mulf %x, %y : f32
    %q = arith.addf %s, %p : f32
    linalg.yield %q : f32
  } -> tensor<1x512xf32>
  return %sums : tensor<1x512xf32>
}

// -----

// A row of dot products reuses nothing: it is no business of this template.
// CHECK-LABEL: func.func @dots
// CHECK-NOT: stepwell.schedule = "contraction"
// CHECK: return
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
