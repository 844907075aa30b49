// RUN: stepwell-opt %s --split-input-file "--pass-pipeline=builtin.module(func.func(pad-constants))" | FileCheck %s
// RUN: stepwell-opt %s --split-input-file "--pass-pipeline=builtin.module(func.func(pad-constants,linalg-fuse),form-kernels)" | FileCheck %s --check-prefix=KERNELS

// Lines of 203 halves become lines of 208: 16 bytes more often fit.  The padding is done once, in prepare.
// CHECK-LABEL: func.func @main
// CHECK-SAME: %[[X:.*]]: tensor<64x40xf16> {{.*}}, %[[W:.*]]: tensor<40x203xf16>
// CHECK: %[[PADDED:.*]] = tensor.pad %[[W]] low[0, 0] high[0, 5]
// CHECK: %[[SLICE:.*]] = tensor.extract_slice %[[PADDED]][0, 0] [40, 203] [1, 1]
// CHECK: linalg.generic {{.*}} ins(%[[X]], %[[SLICE]]
// KERNELS-LABEL: func.func @prepare
// KERNELS: -> tensor<40x208xf16>
// KERNELS: func.func {{.*}}tensor<40x208xf16>
// KERNELS: tensor.pad
// KERNELS: return {{.*}} : tensor<40x208xf16>
// KERNELS: func.func {{.*}}tensor<40x208xf16>
// KERNELS: tensor.extract_slice
// KERNELS: linalg.generic
module attributes {stepwell.stage = "linalg"} {
  func.func @main(%x: tensor<64x40xf16> {stepwell.name = "x", stepwell.kind = "user"},
      %w: tensor<40x203xf16> {stepwell.name = "w", stepwell.kind = "parameter"}) -> tensor<64x203xf32> {
    %zero = arith.constant 0.0 : f32
    %empty = tensor.empty() : tensor<64x203xf32>
    %zeros = linalg.fill ins(%zero : f32) outs(%empty : tensor<64x203xf32>) -> tensor<64x203xf32>
    %sums = linalg.generic {
        indexing_maps = [affine_map<(m, n, k) -> (m, k)>, affine_map<(m, n, k) -> (k, n)>, affine_map<(m, n, k) -> (m, n)>],
        iterator_types = ["parallel", "parallel", "reduction"]}
        ins(%x, %w : tensor<64x40xf16>, tensor<40x203xf16>) outs(%zeros : tensor<64x203xf32>) {
    ^bb0(%a: f16, %b: f16, %s: f32):
      %c = arith.extf %a : f16 to f32
      %d = arith.extf %b : f16 to f32
      %p = arith.mulf %c, %d : f32
      %q = arith.addf %s, %p : f32
      linalg.yield %q : f32
    } -> tensor<64x203xf32>
    return %sums : tensor<64x203xf32>
  }
}

// -----

// Left alone: lines along the depth, lines that fit already, and a weight that comes with each call.
// CHECK-LABEL: func.func @main
// CHECK-NOT: tensor.pad
// CHECK: return
// KERNELS-LABEL: func.func @main
module attributes {stepwell.stage = "linalg"} {
  func.func @main(%x: tensor<64x203xf32> {stepwell.name = "x", stepwell.kind = "user"},
      %y: tensor<64x204xf32> {stepwell.name = "y", stepwell.kind = "user"},
      %fits: tensor<40x204xf32> {stepwell.name = "fits", stepwell.kind = "parameter"},
      %along: tensor<40x203xf32> {stepwell.name = "along", stepwell.kind = "parameter"},
      %z: tensor<64x30xf32> {stepwell.name = "z", stepwell.kind = "user"},
      %given: tensor<30x39xf32> {stepwell.name = "given", stepwell.kind = "user"}) -> (tensor<64x40xf32>, tensor<64x39xf32>) {
    %zero = arith.constant 0.0 : f32
    %empty = tensor.empty() : tensor<64x40xf32>
    %zeros = linalg.fill ins(%zero : f32) outs(%empty : tensor<64x40xf32>) -> tensor<64x40xf32>
    %first = linalg.generic {
        indexing_maps = [affine_map<(m, n, k) -> (m, k)>, affine_map<(m, n, k) -> (n, k)>, affine_map<(m, n, k) -> (m, n)>],
        iterator_types = ["parallel", "parallel", "reduction"]}
        ins(%x, %along : tensor<64x203xf32>, tensor<40x203xf32>) outs(%zeros : tensor<64x40xf32>) {
    ^bb0(%a: f32, %b: f32, %s: f32):
      %p = arith.mulf %a, %b : f32
      %q = arith.addf %s, %p : f32
      linalg.yield %q : f32
    } -> tensor<64x40xf32>
    %second = linalg.generic {
        indexing_maps = [affine_map<(m, n, k) -> (m, k)>, affine_map<(m, n, k) -> (n, k)>, affine_map<(m, n, k) -> (m, n)>],
        iterator_types = ["parallel", "parallel", "reduction"]}
        ins(%y, %fits : tensor<64x204xf32>, tensor<40x204xf32>) outs(%first : tensor<64x40xf32>) {
    ^bb0(%a: f32, %b: f32, %s: f32):
      %p = arith.mulf %a, %b : f32
      %q = arith.addf %s, %p : f32
      linalg.yield %q : f32
    } -> tensor<64x40xf32>
    %other = tensor.empty() : tensor<64x39xf32>
    %none = linalg.fill ins(%zero : f32) outs(%other : tensor<64x39xf32>) -> tensor<64x39xf32>
    %third = linalg.generic {
        indexing_maps = [affine_map<(m, n, k) -> (m, k)>, affine_map<(m, n, k) -> (k, n)>, affine_map<(m, n, k) -> (m, n)>],
        iterator_types = ["parallel", "parallel", "reduction"]}
        ins(%z, %given : tensor<64x30xf32>, tensor<30x39xf32>) outs(%none : tensor<64x39xf32>) {
    ^bb0(%a: f32, %b: f32, %s: f32):
      %p = arith.mulf %a, %b : f32
      %q = arith.addf %s, %p : f32
      linalg.yield %q : f32
    } -> tensor<64x39xf32>
    return %second, %third : tensor<64x40xf32>, tensor<64x39xf32>
  }
}
