// RUN: stepwell-opt %s --split-input-file "--pass-pipeline=builtin.module(func.func(pack-constants{target=cpu:x86-64-v3}))" | FileCheck %s
// RUN: stepwell-opt %s --split-input-file "--pass-pipeline=builtin.module(func.func(pack-constants{target=cpu:x86-64-v3},pack-constants{target=cpu:x86-64-v3}))" | FileCheck %s

// Rows of weights become panels of 16 columns; the last one is filled up with zeros.
// CHECK-DAG: #[[PACK:.*]] = affine_map<(d0, d1, d2) -> (d0 * 16 + d2, d1)>
// CHECK-DAG: #[[PANELS:.*]] = affine_map<(d0, d1, d2) -> (d1 floordiv 16, d2, d1 mod 16)>
// CHECK-LABEL: func.func @main
// CHECK-SAME: %[[X:.*]]: tensor<64x32xf32> {{.*}}, %[[W:.*]]: tensor<40x32xf32>
// CHECK: %[[PADDED:.*]] = tensor.pad %[[W]] low[0, 0] high[8, 0]
// CHECK: %[[P:.*]] = linalg.generic {indexing_maps = [#[[PACK]], {{.*}} ins(%[[PADDED]]
// CHECK: } -> tensor<3x32x16xf32>
// CHECK: linalg.generic {indexing_maps = [{{.*}}, #[[PANELS]], {{.*}} ins(%[[X]], %[[P]]
// CHECK-NOT: linalg.generic
module attributes {stepwell.stage = "linalg"} {
  func.func @main(%x: tensor<64x32xf32> {stepwell.name = "x", stepwell.kind = "user"},
      %w: tensor<40x32xf32> {stepwell.name = "w", stepwell.kind = "parameter"}) -> tensor<64x40xf32> {
    %zero = arith.constant 0.0 : f32
    %empty = tensor.empty() : tensor<64x40xf32>
    %zeros = linalg.fill ins(%zero : f32) outs(%empty : tensor<64x40xf32>) -> tensor<64x40xf32>
    %sums = linalg.generic {
        indexing_maps = [affine_map<(m, n, k) -> (m, k)>, affine_map<(m, n, k) -> (n, k)>, affine_map<(m, n, k) -> (m, n)>],
        iterator_types = ["parallel", "parallel", "reduction"]}
        ins(%x, %w : tensor<64x32xf32>, tensor<40x32xf32>) outs(%zeros : tensor<64x40xf32>) {
    ^bb0(%a: f32, %b: f32, %s: f32):
      %p = arith.mulf %a, %b : f32
      %q = arith.addf %s, %p : f32
      linalg.yield %q : f32
    } -> tensor<64x40xf32>
    return %sums : tensor<64x40xf32>
  }
}

// -----

// Left alone: a weight that comes with each call, and one for few rows.
// CHECK-LABEL: func.func @main
// CHECK-NOT: floordiv
// CHECK: return
module attributes {stepwell.stage = "linalg"} {
  func.func @main(%x: tensor<64x32xf32> {stepwell.name = "x", stepwell.kind = "user"},
      %v: tensor<32x64xf32> {stepwell.name = "v", stepwell.kind = "user"},
      %w: tensor<64x2xf32> {stepwell.name = "w", stepwell.kind = "parameter"}) -> (tensor<64x64xf32>, tensor<2x32xf32>) {
    %zero = arith.constant 0.0 : f32
    %empty = tensor.empty() : tensor<64x64xf32>
    %zeros = linalg.fill ins(%zero : f32) outs(%empty : tensor<64x64xf32>) -> tensor<64x64xf32>
    %sums = linalg.generic {
        indexing_maps = [affine_map<(m, n, k) -> (m, k)>, affine_map<(m, n, k) -> (k, n)>, affine_map<(m, n, k) -> (m, n)>],
        iterator_types = ["parallel", "parallel", "reduction"]}
        ins(%x, %v : tensor<64x32xf32>, tensor<32x64xf32>) outs(%zeros : tensor<64x64xf32>) {
    ^bb0(%a: f32, %b: f32, %s: f32):
      %p = arith.mulf %a, %b : f32
      %q = arith.addf %s, %p : f32
      linalg.yield %q : f32
    } -> tensor<64x64xf32>
    %small = tensor.empty() : tensor<2x32xf32>
    %none = linalg.fill ins(%zero : f32) outs(%small : tensor<2x32xf32>) -> tensor<2x32xf32>
    %few = linalg.generic {
        indexing_maps = [affine_map<(m, n, k) -> (k, m)>, affine_map<(m, n, k) -> (k, n)>, affine_map<(m, n, k) -> (m, n)>],
        iterator_types = ["parallel", "parallel", "reduction"]}
        ins(%w, %x : tensor<64x2xf32>, tensor<64x32xf32>) outs(%none : tensor<2x32xf32>) {
    ^bb0(%a: f32, %b: f32, %s: f32):
      %p = arith.mulf %a, %b : f32
      %q = arith.addf %s, %p : f32
      linalg.yield %q : f32
    } -> tensor<2x32xf32>
    return %sums, %few : tensor<64x64xf32>, tensor<2x32xf32>
  }
}
