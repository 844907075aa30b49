// RUN: stepwell-opt %s "--pass-pipeline=builtin.module(func.func(linalg-fuse{attention=true}))" | FileCheck %s
// RUN: stepwell-opt %s "--pass-pipeline=builtin.module(func.func(linalg-fuse))" | FileCheck %s --check-prefix=APART

// All of an attention is one kernel where that is asked for.

// CHECK-LABEL: func.func @attention
// CHECK-COUNT-8: stepwell.kernel = 0
// CHECK-NOT: stepwell.kernel
// CHECK: return
// APART-LABEL: func.func @attention
// APART: stepwell.kernel = 0
// APART: stepwell.kernel = 1
// APART: stepwell.kernel = 2

#map = affine_map<(d0, d1, d2) -> (d0, d2, d1)>
#map1 = affine_map<(d0, d1, d2) -> (d0, d1, d2)>
#map2 = affine_map<(d0, d1, d2, d3) -> (d0, d1, d3)>
#map3 = affine_map<(d0, d1, d2, d3) -> (d0, d3, d2)>
#map4 = affine_map<(d0, d1, d2, d3) -> (d0, d1, d2)>
#map5 = affine_map<(d0, d1, d2) -> (d0, d1)>
func.func @attention(%arg0: tensor<2x20x16xf16>, %arg1: tensor<2x30x16xf16>, %arg2: tensor<2x30x16xf16>) -> tensor<2x20x16xf16> {
  %0 = tensor.empty() : tensor<2x16x30xf16>
  %1 = linalg.generic {indexing_maps = [#map, #map1], iterator_types = ["parallel", "parallel", "parallel"]} ins(%arg1 : tensor<2x30x16xf16>) outs(%0 : tensor<2x16x30xf16>) {
  ^bb0(%in: f16, %out: f16):
    linalg.yield %in : f16
  } -> tensor<2x16x30xf16>
  %cst = arith.constant 0.000000e+00 : f32
  %2 = tensor.empty() : tensor<2x20x30xf32>
  %3 = linalg.fill ins(%cst : f32) outs(%2 : tensor<2x20x30xf32>) -> tensor<2x20x30xf32>
  %4 = linalg.generic {indexing_maps = [#map2, #map3, #map4], iterator_types = ["parallel", "parallel", "parallel", "reduction"]} ins(%arg0, %1 : tensor<2x20x16xf16>, tensor<2x16x30xf16>) outs(%3 : tensor<2x20x30xf32>) {
  ^bb0(%in: f16, %in_1: f16, %out: f32):
    %19 = arith.extf %in : f16 to f32
    %20 = arith.extf %in_1 : f16 to f32
    %21 = arith.mulf %19, %20 : f32
    %22 = arith.addf %out, %21 : f32
    linalg.yield %22 : f32
  } -> tensor<2x20x30xf32>
  %5 = tensor.empty() : tensor<2x20x30xf16>
  %6 = linalg.generic {indexing_maps = [#map1, #map1], iterator_types = ["parallel", "parallel", "parallel"]} ins(%4 : tensor<2x20x30xf32>) outs(%5 : tensor<2x20x30xf16>) {
  ^bb0(%in: f32, %out: f16):
    %19 = arith.truncf %in : f32 to f16
    linalg.yield %19 : f16
  } -> tensor<2x20x30xf16>
  %cst_0 = arith.constant 0xFF800000 : f32
  %7 = tensor.empty() : tensor<2x20xf32>
  %8 = linalg.fill ins(%cst_0 : f32) outs(%7 : tensor<2x20xf32>) -> tensor<2x20xf32>
  %9 = linalg.generic {indexing_maps = [#map1, #map5], iterator_types = ["parallel", "parallel", "reduction"]} ins(%6 : tensor<2x20x30xf16>) outs(%8 : tensor<2x20xf32>) {
  ^bb0(%in: f16, %out: f32):
    %19 = arith.extf %in : f16 to f32
    %20 = arith.maximumf %out, %19 : f32
    linalg.yield %20 : f32
  } -> tensor<2x20xf32>
  %10 = linalg.generic {indexing_maps = [#map1, #map5, #map1], iterator_types = ["parallel", "parallel", "parallel"]} ins(%6, %9 : tensor<2x20x30xf16>, tensor<2x20xf32>) outs(%2 : tensor<2x20x30xf32>) {
  ^bb0(%in: f16, %in_1: f32, %out: f32):
    %19 = arith.extf %in : f16 to f32
    %20 = arith.subf %19, %in_1 : f32
    %21 = math.exp %20 : f32
    linalg.yield %21 : f32
  } -> tensor<2x20x30xf32>
  %11 = linalg.fill ins(%cst : f32) outs(%7 : tensor<2x20xf32>) -> tensor<2x20xf32>
  %12 = linalg.generic {indexing_maps = [#map1, #map5], iterator_types = ["parallel", "parallel", "reduction"]} ins(%10 : tensor<2x20x30xf32>) outs(%11 : tensor<2x20xf32>) {
  ^bb0(%in: f32, %out: f32):
    %19 = arith.addf %out, %in : f32
    linalg.yield %19 : f32
  } -> tensor<2x20xf32>
  %13 = linalg.generic {indexing_maps = [#map1, #map5, #map1], iterator_types = ["parallel", "parallel", "parallel"]} ins(%10, %12 : tensor<2x20x30xf32>, tensor<2x20xf32>) outs(%5 : tensor<2x20x30xf16>) {
  ^bb0(%in: f32, %in_1: f32, %out: f16):
    %19 = arith.divf %in, %in_1 : f32
    %20 = arith.truncf %19 : f32 to f16
    linalg.yield %20 : f16
  } -> tensor<2x20x30xf16>
  %14 = tensor.empty() : tensor<2x20x16xf32>
  %15 = linalg.fill ins(%cst : f32) outs(%14 : tensor<2x20x16xf32>) -> tensor<2x20x16xf32>
  %16 = linalg.generic {indexing_maps = [#map2, #map3, #map4], iterator_types = ["parallel", "parallel", "parallel", "reduction"]} ins(%13, %arg2 : tensor<2x20x30xf16>, tensor<2x30x16xf16>) outs(%15 : tensor<2x20x16xf32>) {
  ^bb0(%in: f16, %in_1: f16, %out: f32):
    %19 = arith.extf %in : f16 to f32
    %20 = arith.extf %in_1 : f16 to f32
    %21 = arith.mulf %19, %20 : f32
    %22 = arith.addf %out, %21 : f32
    linalg.yield %22 : f32
  } -> tensor<2x20x16xf32>
  %17 = tensor.empty() : tensor<2x20x16xf16>
  %18 = linalg.generic {indexing_maps = [#map1, #map1], iterator_types = ["parallel", "parallel", "parallel"]} ins(%16 : tensor<2x20x16xf32>) outs(%17 : tensor<2x20x16xf16>) {
  ^bb0(%in: f32, %out: f16):
    %19 = arith.truncf %in : f32 to f16
    linalg.yield %19 : f16
  } -> tensor<2x20x16xf16>
  return %18 : tensor<2x20x16xf16>
}

// Weights that somebody reads must lie in memory: nothing changes.

// CHECK-LABEL: func.func @weights_are_a_result
// CHECK: stepwell.kernel = 0
// CHECK: stepwell.kernel = 1
// CHECK: stepwell.kernel = 2

func.func @weights_are_a_result(%arg0: tensor<2x20x16xf16>, %arg1: tensor<2x30x16xf16>, %arg2: tensor<2x30x16xf16>) -> (tensor<2x20x16xf16>, tensor<2x20x30xf16>) {
  %0 = tensor.empty() : tensor<2x16x30xf16>
  %1 = linalg.generic {indexing_maps = [#map, #map1], iterator_types = ["parallel", "parallel", "parallel"]} ins(%arg1 : tensor<2x30x16xf16>) outs(%0 : tensor<2x16x30xf16>) {
  ^bb0(%in: f16, %out: f16):
    linalg.yield %in : f16
  } -> tensor<2x16x30xf16>
  %cst = arith.constant 0.000000e+00 : f32
  %2 = tensor.empty() : tensor<2x20x30xf32>
  %3 = linalg.fill ins(%cst : f32) outs(%2 : tensor<2x20x30xf32>) -> tensor<2x20x30xf32>
  %4 = linalg.generic {indexing_maps = [#map2, #map3, #map4], iterator_types = ["parallel", "parallel", "parallel", "reduction"]} ins(%arg0, %1 : tensor<2x20x16xf16>, tensor<2x16x30xf16>) outs(%3 : tensor<2x20x30xf32>) {
  ^bb0(%in: f16, %in_1: f16, %out: f32):
    %19 = arith.extf %in : f16 to f32
    %20 = arith.extf %in_1 : f16 to f32
    %21 = arith.mulf %19, %20 : f32
    %22 = arith.addf %out, %21 : f32
    linalg.yield %22 : f32
  } -> tensor<2x20x30xf32>
  %5 = tensor.empty() : tensor<2x20x30xf16>
  %6 = linalg.generic {indexing_maps = [#map1, #map1], iterator_types = ["parallel", "parallel", "parallel"]} ins(%4 : tensor<2x20x30xf32>) outs(%5 : tensor<2x20x30xf16>) {
  ^bb0(%in: f32, %out: f16):
    %19 = arith.truncf %in : f32 to f16
    linalg.yield %19 : f16
  } -> tensor<2x20x30xf16>
  %cst_0 = arith.constant 0xFF800000 : f32
  %7 = tensor.empty() : tensor<2x20xf32>
  %8 = linalg.fill ins(%cst_0 : f32) outs(%7 : tensor<2x20xf32>) -> tensor<2x20xf32>
  %9 = linalg.generic {indexing_maps = [#map1, #map5], iterator_types = ["parallel", "parallel", "reduction"]} ins(%6 : tensor<2x20x30xf16>) outs(%8 : tensor<2x20xf32>) {
  ^bb0(%in: f16, %out: f32):
    %19 = arith.extf %in : f16 to f32
    %20 = arith.maximumf %out, %19 : f32
    linalg.yield %20 : f32
  } -> tensor<2x20xf32>
  %10 = linalg.generic {indexing_maps = [#map1, #map5, #map1], iterator_types = ["parallel", "parallel", "parallel"]} ins(%6, %9 : tensor<2x20x30xf16>, tensor<2x20xf32>) outs(%2 : tensor<2x20x30xf32>) {
  ^bb0(%in: f16, %in_1: f32, %out: f32):
    %19 = arith.extf %in : f16 to f32
    %20 = arith.subf %19, %in_1 : f32
    %21 = math.exp %20 : f32
    linalg.yield %21 : f32
  } -> tensor<2x20x30xf32>
  %11 = linalg.fill ins(%cst : f32) outs(%7 : tensor<2x20xf32>) -> tensor<2x20xf32>
  %12 = linalg.generic {indexing_maps = [#map1, #map5], iterator_types = ["parallel", "parallel", "reduction"]} ins(%10 : tensor<2x20x30xf32>) outs(%11 : tensor<2x20xf32>) {
  ^bb0(%in: f32, %out: f32):
    %19 = arith.addf %out, %in : f32
    linalg.yield %19 : f32
  } -> tensor<2x20xf32>
  %13 = linalg.generic {indexing_maps = [#map1, #map5, #map1], iterator_types = ["parallel", "parallel", "parallel"]} ins(%10, %12 : tensor<2x20x30xf32>, tensor<2x20xf32>) outs(%5 : tensor<2x20x30xf16>) {
  ^bb0(%in: f32, %in_1: f32, %out: f16):
    %19 = arith.divf %in, %in_1 : f32
    %20 = arith.truncf %19 : f32 to f16
    linalg.yield %20 : f16
  } -> tensor<2x20x30xf16>
  %14 = tensor.empty() : tensor<2x20x16xf32>
  %15 = linalg.fill ins(%cst : f32) outs(%14 : tensor<2x20x16xf32>) -> tensor<2x20x16xf32>
  %16 = linalg.generic {indexing_maps = [#map2, #map3, #map4], iterator_types = ["parallel", "parallel", "parallel", "reduction"]} ins(%13, %arg2 : tensor<2x20x30xf16>, tensor<2x30x16xf16>) outs(%15 : tensor<2x20x16xf32>) {
  ^bb0(%in: f16, %in_1: f16, %out: f32):
    %19 = arith.extf %in : f16 to f32
    %20 = arith.extf %in_1 : f16 to f32
    %21 = arith.mulf %19, %20 : f32
    %22 = arith.addf %out, %21 : f32
    linalg.yield %22 : f32
  } -> tensor<2x20x16xf32>
  %17 = tensor.empty() : tensor<2x20x16xf16>
  %18 = linalg.generic {indexing_maps = [#map1, #map1], iterator_types = ["parallel", "parallel", "parallel"]} ins(%16 : tensor<2x20x16xf32>) outs(%17 : tensor<2x20x16xf16>) {
  ^bb0(%in: f32, %out: f16):
    %19 = arith.truncf %in : f32 to f16
    linalg.yield %19 : f16
  } -> tensor<2x20x16xf16>
  return %18, %13 : tensor<2x20x16xf16>, tensor<2x20x30xf16>
}
