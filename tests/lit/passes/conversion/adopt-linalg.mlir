// What other importers write becomes a program of stage linalg: names, one name for sizes that are equal, no scalar
// operands, fills that are fills.
// RUN: stepwell-opt %s --pass-pipeline='builtin.module(func.func(linalg-generalize-named-ops),adopt-linalg,canonicalize,cse,verify-linalg)' | FileCheck %s

// CHECK: stepwell.stage = "linalg"
// CHECK-NOT: ml_program.global
// CHECK: func.func @main(%arg0: tensor<?x3xf32> {stepwell.kind = "user", stepwell.name = "arg0", stepwell.sizes = ["s0"]},
// CHECK-SAME: %arg1: tensor<?x4xf32> {stepwell.kind = "user", stepwell.name = "arg1", stepwell.sizes = ["s0"]},
// CHECK-SAME: %arg2: tensor<?xf32> {stepwell.kind = "user", stepwell.name = "arg2", stepwell.sizes = ["s1"]})
// CHECK: linalg.fill
// CHECK: linalg.generic
// CHECK-NOT: ins(%{{.*}} : f32
// CHECK: return
#map = affine_map<(d0, d1) -> (d0, d1)>
#none = affine_map<(d0, d1) -> ()>
module attributes {torch.debug_module_name = "Net"} {
  ml_program.global private mutable @global_seed(dense<0> : tensor<i64>) : tensor<i64>
  func.func @forward(%x: tensor<?x3xf32>, %y: tensor<?x4xf32>, %z: tensor<?xf32>) -> (tensor<?x4xf32>, tensor<?xf32>) {
    %zero = arith.constant 0.0 : f32
    %two = arith.constant 2.0 : f32
    %w = arith.constant dense<0.5> : tensor<3x4xf32>
    %c0 = arith.constant 0 : index
    %n = tensor.dim %x, %c0 : tensor<?x3xf32>
    %empty = tensor.empty(%n) : tensor<?x4xf32>
    %start = linalg.fill ins(%zero : f32) outs(%empty : tensor<?x4xf32>) -> tensor<?x4xf32>
    %product = linalg.matmul ins(%x, %w : tensor<?x3xf32>, tensor<3x4xf32>) outs(%start : tensor<?x4xf32>) -> tensor<?x4xf32>
    %sum = linalg.generic {indexing_maps = [#map, #map, #none, #map], iterator_types = ["parallel", "parallel"]}
        ins(%product, %y, %two : tensor<?x4xf32>, tensor<?x4xf32>, f32) outs(%empty : tensor<?x4xf32>) {
    ^bb0(%a: f32, %b: f32, %s: f32, %out: f32):
      %scaled = arith.mulf %b, %s : f32
      %added = arith.addf %a, %scaled : f32
      linalg.yield %added : f32
    } -> tensor<?x4xf32>
    return %sum, %z : tensor<?x4xf32>, tensor<?xf32>
  }
}
