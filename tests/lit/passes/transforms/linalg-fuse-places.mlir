// RUN: stepwell-opt %s --linalg-fuse | FileCheck %s

// The cast of one result of a pooling joins its kernel; what reads anything else does not.

#slide = affine_map<(d0, d1) -> (d0 * 2 + d1)>
#window = affine_map<(d0, d1) -> (d1)>
#place = affine_map<(d0, d1) -> (d0)>
#same = affine_map<(d0) -> (d0)>

// CHECK-LABEL: func.func @pool
// CHECK: attrs = {stepwell.kernel = 0 : i64}
// CHECK: attrs = {stepwell.kernel = 0 : i64}
// CHECK: attrs = {stepwell.kernel = 1 : i64}
func.func @pool(%x: tensor<8xf32>, %y: tensor<4xf32>) -> (tensor<4xf32>, tensor<4xi64>, tensor<4xf32>) {
  %low = arith.constant 0xFF800000 : f32
  %none = arith.constant -1 : i32
  %e0 = tensor.empty() : tensor<4xf32>
  %e1 = tensor.empty() : tensor<4xi32>
  %e2 = tensor.empty() : tensor<4xi64>
  %shape = tensor.empty() : tensor<2xf32>
  %start = linalg.fill ins(%low : f32) outs(%e0 : tensor<4xf32>) -> tensor<4xf32>
  %where = linalg.fill ins(%none : i32) outs(%e1 : tensor<4xi32>) -> tensor<4xi32>
  %best:2 = linalg.generic {indexing_maps = [#slide, #window, #place, #place], iterator_types = ["parallel", "reduction"]}
      ins(%x, %shape : tensor<8xf32>, tensor<2xf32>) outs(%start, %where : tensor<4xf32>, tensor<4xi32>) {
  ^bb0(%in: f32, %tap: f32, %value: f32, %at: i32):
    %i = linalg.index 1 : index
    %here = arith.index_cast %i : index to i32
    %more = arith.cmpf ogt, %in, %value : f32
    %v = arith.select %more, %in, %value : f32
    %p = arith.select %more, %here, %at : i32
    linalg.yield %v, %p : f32, i32
  } -> (tensor<4xf32>, tensor<4xi32>)
  %wide = linalg.generic {indexing_maps = [#same, #same], iterator_types = ["parallel"]}
      ins(%best#1 : tensor<4xi32>) outs(%e2 : tensor<4xi64>) {
  ^bb0(%in: i32, %out: i64):
    %w = arith.extsi %in : i32 to i64
    linalg.yield %w : i64
  } -> tensor<4xi64>
  %sum = linalg.generic {indexing_maps = [#same, #same, #same], iterator_types = ["parallel"]}
      ins(%best#0, %y : tensor<4xf32>, tensor<4xf32>) outs(%e0 : tensor<4xf32>) {
  ^bb0(%in: f32, %other: f32, %out: f32):
    %s = arith.addf %in, %other : f32
    linalg.yield %s : f32
  } -> tensor<4xf32>
  return %best#0, %wide, %sum : tensor<4xf32>, tensor<4xi64>, tensor<4xf32>
}
