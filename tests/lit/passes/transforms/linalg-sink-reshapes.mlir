// RUN: stepwell-opt %s --linalg-sink-reshapes --split-input-file | FileCheck %s
// RUN: stepwell-opt %s --linalg-sink-reshapes --linalg-sink-reshapes --split-input-file | FileCheck %s

// A bias and a residual behind a reshape: both are added before it.
#id2 = affine_map<(d0, d1) -> (d0, d1)>
#id3 = affine_map<(d0, d1, d2) -> (d0, d1, d2)>
#last = affine_map<(d0, d1, d2) -> (d2)>
// CHECK-LABEL: func.func @bias_and_residual
// CHECK-SAME: %[[X:[^:]*]]: tensor<6x4xf32>, %[[B:[^:]*]]: tensor<4xf32>, %[[R:[^:]*]]: tensor<2x3x4xf32>
func.func @bias_and_residual(%x: tensor<6x4xf32>, %b: tensor<4xf32>, %r: tensor<2x3x4xf32>) -> tensor<2x3x4xf32> {
  %e2 = tensor.empty() : tensor<6x4xf32>
  // CHECK: %[[EXP:.*]] = linalg.generic {{.*}} ins(%[[X]] : tensor<6x4xf32>)
  %0 = linalg.generic {indexing_maps = [#id2, #id2], iterator_types = ["parallel", "parallel"]}
      ins(%x : tensor<6x4xf32>) outs(%e2 : tensor<6x4xf32>) {
  ^bb0(%i: f32, %o: f32):
    %s = math.exp %i : f32
    linalg.yield %s : f32
  } -> tensor<6x4xf32>
  %1 = tensor.expand_shape %0 [[0, 1], [2]] output_shape [2, 3, 4] : tensor<6x4xf32> into tensor<2x3x4xf32>
  %e3 = tensor.empty() : tensor<2x3x4xf32>
  // CHECK: %[[C:.*]] = tensor.collapse_shape %[[R]] {{\[}}[0, 1], [2]]
  // CHECK: %[[SUM:.*]] = linalg.generic {{.*}} ins(%[[EXP]], %[[B]], %[[C]] : tensor<6x4xf32>, tensor<4xf32>, tensor<6x4xf32>)
  %2 = linalg.generic {indexing_maps = [#id3, #last, #id3, #id3], iterator_types = ["parallel", "parallel", "parallel"]}
      ins(%1, %b, %r : tensor<2x3x4xf32>, tensor<4xf32>, tensor<2x3x4xf32>) outs(%e3 : tensor<2x3x4xf32>) {
  ^bb0(%i: f32, %j: f32, %k: f32, %o: f32):
    %s = arith.addf %i, %j : f32
    %t = arith.addf %s, %k : f32
    linalg.yield %t : f32
  } -> tensor<2x3x4xf32>
  // CHECK: %[[OUT:.*]] = tensor.expand_shape %[[SUM]] {{\[}}[0, 1], [2]] output_shape [2, 3, 4]
  // CHECK: return %[[OUT]]
  return %2 : tensor<2x3x4xf32>
}

// -----

// An operand along a dimension that the reshape makes cannot be read before it.
#id2 = affine_map<(d0, d1) -> (d0, d1)>
#id3 = affine_map<(d0, d1, d2) -> (d0, d1, d2)>
#first = affine_map<(d0, d1, d2) -> (d0)>
// CHECK-LABEL: func.func @refused
// CHECK: tensor.expand_shape
// CHECK: linalg.generic {{.*}} ins({{.*}} : tensor<2x3x4xf32>, tensor<2xf32>)
func.func @refused(%x: tensor<6x4xf32>, %b: tensor<2xf32>) -> tensor<2x3x4xf32> {
  %e2 = tensor.empty() : tensor<6x4xf32>
  %0 = linalg.generic {indexing_maps = [#id2, #id2], iterator_types = ["parallel", "parallel"]}
      ins(%x : tensor<6x4xf32>) outs(%e2 : tensor<6x4xf32>) {
  ^bb0(%i: f32, %o: f32):
    %s = math.exp %i : f32
    linalg.yield %s : f32
  } -> tensor<6x4xf32>
  %1 = tensor.expand_shape %0 [[0, 1], [2]] output_shape [2, 3, 4] : tensor<6x4xf32> into tensor<2x3x4xf32>
  %e3 = tensor.empty() : tensor<2x3x4xf32>
  %2 = linalg.generic {indexing_maps = [#id3, #first, #id3], iterator_types = ["parallel", "parallel", "parallel"]}
      ins(%1, %b : tensor<2x3x4xf32>, tensor<2xf32>) outs(%e3 : tensor<2x3x4xf32>) {
  ^bb0(%i: f32, %j: f32, %o: f32):
    %s = arith.addf %i, %j : f32
    linalg.yield %s : f32
  } -> tensor<2x3x4xf32>
  return %2 : tensor<2x3x4xf32>
}

// -----

// Nothing made the argument for this reshape: moving it would save nothing.
#id3 = affine_map<(d0, d1, d2) -> (d0, d1, d2)>
// CHECK-LABEL: func.func @argument
// CHECK: tensor.expand_shape
// CHECK: linalg.generic
func.func @argument(%x: tensor<6x4xf32>) -> tensor<2x3x4xf32> {
  %1 = tensor.expand_shape %x [[0, 1], [2]] output_shape [2, 3, 4] : tensor<6x4xf32> into tensor<2x3x4xf32>
  %e3 = tensor.empty() : tensor<2x3x4xf32>
  %2 = linalg.generic {indexing_maps = [#id3, #id3], iterator_types = ["parallel", "parallel", "parallel"]}
      ins(%1 : tensor<2x3x4xf32>) outs(%e3 : tensor<2x3x4xf32>) {
  ^bb0(%i: f32, %o: f32):
    %s = math.exp %i : f32
    linalg.yield %s : f32
  } -> tensor<2x3x4xf32>
  return %2 : tensor<2x3x4xf32>
}
