// RUN: stepwell-opt %s --linalg-fuse --split-input-file | FileCheck %s
// RUN: stepwell-opt %s --linalg-fuse --linalg-fuse --split-input-file | FileCheck %s

// A contraction takes the bias and the activation that follow it; what does not compute elements has no kernel.
#id = affine_map<(d0, d1) -> (d0, d1)>
#column = affine_map<(d0, d1) -> (d1)>
// CHECK-LABEL: func.func @linear_relu
func.func @linear_relu(%x: tensor<4x8xf32>, %w: tensor<16x8xf32>, %b: tensor<16xf32>) -> tensor<4x16xf32> {
  %zero = arith.constant 0.0 : f32
  // CHECK: tensor.empty() : tensor<4x16xf32>
  %e = tensor.empty() : tensor<4x16xf32>
  // CHECK-NOT: stepwell.kernel
  // CHECK: linalg.fill
  %f = linalg.fill ins(%zero : f32) outs(%e : tensor<4x16xf32>) -> tensor<4x16xf32>
  // CHECK: linalg.generic {{.*}} attrs = {stepwell.kernel = 0 : i64}
  %0 = linalg.generic {indexing_maps = [affine_map<(d0, d1, d2) -> (d0, d2)>, affine_map<(d0, d1, d2) -> (d1, d2)>,
      affine_map<(d0, d1, d2) -> (d0, d1)>], iterator_types = ["parallel", "parallel", "reduction"]}
      ins(%x, %w : tensor<4x8xf32>, tensor<16x8xf32>) outs(%f : tensor<4x16xf32>) {
  ^bb0(%i: f32, %j: f32, %acc: f32):
    %m = arith.mulf %i, %j : f32
    %s = arith.addf %acc, %m : f32
    linalg.yield %s : f32
  } -> tensor<4x16xf32>
  // CHECK: linalg.generic {{.*}} attrs = {stepwell.kernel = 0 : i64}
  %1 = linalg.generic {indexing_maps = [#id, #column, #id], iterator_types = ["parallel", "parallel"]}
      ins(%0, %b : tensor<4x16xf32>, tensor<16xf32>) outs(%e : tensor<4x16xf32>) {
  ^bb0(%i: f32, %j: f32, %o: f32):
    %s = arith.addf %i, %j : f32
    linalg.yield %s : f32
  } -> tensor<4x16xf32>
  // CHECK: linalg.generic {{.*}} attrs = {stepwell.kernel = 0 : i64}
  %2 = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel"]}
      ins(%1 : tensor<4x16xf32>) outs(%e : tensor<4x16xf32>) {
  ^bb0(%i: f32, %o: f32):
    %s = arith.maximumf %i, %zero : f32
    linalg.yield %s : f32
  } -> tensor<4x16xf32>
  return %2 : tensor<4x16xf32>
}

// -----

// A reduction, what it makes of its row, and what reads both again: one kernel, with a second reduction over the rows.
#id = affine_map<(d0, d1) -> (d0, d1)>
#row = affine_map<(d0, d1) -> (d0)>
// CHECK-LABEL: func.func @centred_squares
// CHECK-COUNT-3: attrs = {stepwell.kernel = 0 : i64}
// CHECK-NOT: stepwell.kernel
func.func @centred_squares(%x: tensor<64x32xf32>) -> (tensor<64xf32>, tensor<64x32xf32>) {
  %zero = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<64xf32>
  %full = tensor.empty() : tensor<64x32xf32>
  %f = linalg.fill ins(%zero : f32) outs(%e : tensor<64xf32>) -> tensor<64xf32>
  %0 = linalg.generic {indexing_maps = [#id, #row], iterator_types = ["parallel", "reduction"]}
      ins(%x : tensor<64x32xf32>) outs(%f : tensor<64xf32>) {
  ^bb0(%i: f32, %acc: f32):
    %s = arith.addf %acc, %i : f32
    linalg.yield %s : f32
  } -> tensor<64xf32>
  %1 = linalg.generic {indexing_maps = [#id, #row, #row], iterator_types = ["parallel", "reduction"]}
      ins(%x, %0 : tensor<64x32xf32>, tensor<64xf32>) outs(%f : tensor<64xf32>) {
  ^bb0(%i: f32, %j: f32, %acc: f32):
    %d = arith.subf %i, %j : f32
    %q = arith.mulf %d, %d : f32
    %s = arith.addf %acc, %q : f32
    linalg.yield %s : f32
  } -> tensor<64xf32>
  %2 = linalg.generic {indexing_maps = [#id, #row, #id], iterator_types = ["parallel", "parallel"]}
      ins(%x, %0 : tensor<64x32xf32>, tensor<64xf32>) outs(%full : tensor<64x32xf32>) {
  ^bb0(%i: f32, %j: f32, %o: f32):
    %d = arith.subf %i, %j : f32
    linalg.yield %d : f32
  } -> tensor<64x32xf32>
  return %1, %2 : tensor<64xf32>, tensor<64x32xf32>
}

// -----

// A gathered tensor must lie in memory, so what makes it stays apart.
#id = affine_map<(d0) -> (d0)>
// CHECK-LABEL: func.func @gather
// CHECK: attrs = {stepwell.kernel = 0 : i64}
// CHECK: attrs = {stepwell.kernel = 1 : i64}
func.func @gather(%x: tensor<8xf32>, %at: tensor<4xindex>) -> tensor<4xf32> {
  %e = tensor.empty() : tensor<8xf32>
  %0 = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel"]}
      ins(%x : tensor<8xf32>) outs(%e : tensor<8xf32>) {
  ^bb0(%i: f32, %o: f32):
    %s = math.exp %i : f32
    linalg.yield %s : f32
  } -> tensor<8xf32>
  %e1 = tensor.empty() : tensor<4xf32>
  %1 = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel"]}
      ins(%at : tensor<4xindex>) outs(%e1 : tensor<4xf32>) {
  ^bb0(%i: index, %o: f32):
    %s = tensor.extract %0[%i] : tensor<8xf32>
    linalg.yield %s : f32
  } -> tensor<4xf32>
  return %1 : tensor<4xf32>
}

// -----

// A slice is read where it is needed; a reshape ends a kernel and is none itself.
#id = affine_map<(d0) -> (d0)>
// CHECK-LABEL: func.func @slice_and_reshape
func.func @slice_and_reshape(%x: tensor<8x4xf32>) -> tensor<8xf32> {
  // CHECK: tensor.extract_slice {{.*}} {stepwell.inline}
  %0 = tensor.extract_slice %x[0, 0] [4, 2] [1, 1] : tensor<8x4xf32> to tensor<4x2xf32>
  %e = tensor.empty() : tensor<4x2xf32>
  // CHECK: attrs = {stepwell.kernel = 0 : i64}
  %1 = linalg.generic {indexing_maps = [affine_map<(d0, d1) -> (d0, d1)>, affine_map<(d0, d1) -> (d0, d1)>],
      iterator_types = ["parallel", "parallel"]} ins(%0 : tensor<4x2xf32>) outs(%e : tensor<4x2xf32>) {
  ^bb0(%i: f32, %o: f32):
    %s = math.exp %i : f32
    linalg.yield %s : f32
  } -> tensor<4x2xf32>
  // CHECK-NOT: stepwell
  // CHECK: tensor.collapse_shape
  // CHECK-NOT: stepwell
  %2 = tensor.collapse_shape %1 [[0, 1]] : tensor<4x2xf32> into tensor<8xf32>
  %e1 = tensor.empty() : tensor<8xf32>
  // CHECK: attrs = {stepwell.kernel = 1 : i64}
  %3 = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel"]}
      ins(%2 : tensor<8xf32>) outs(%e1 : tensor<8xf32>) {
  ^bb0(%i: f32, %o: f32):
    %s = math.exp %i : f32
    linalg.yield %s : f32
  } -> tensor<8xf32>
  return %3 : tensor<8xf32>
}

// -----

// Weights alone decide the first op: it runs once, and must not join what runs at each call.
#id = affine_map<(d0) -> (d0)>
// CHECK-LABEL: func.func @constant_part
// CHECK: attrs = {stepwell.kernel = 0 : i64}
// CHECK: attrs = {stepwell.kernel = 1 : i64}
func.func @constant_part(%x: tensor<8xf32> {stepwell.kind = "user"},
                         %w: tensor<8xf32> {stepwell.kind = "parameter"}) -> tensor<8xf32> {
  %e = tensor.empty() : tensor<8xf32>
  %0 = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel"]}
      ins(%w : tensor<8xf32>) outs(%e : tensor<8xf32>) {
  ^bb0(%i: f32, %o: f32):
    %s = math.exp %i : f32
    linalg.yield %s : f32
  } -> tensor<8xf32>
  %1 = linalg.generic {indexing_maps = [#id, #id, #id], iterator_types = ["parallel"]}
      ins(%x, %0 : tensor<8xf32>, tensor<8xf32>) outs(%e : tensor<8xf32>) {
  ^bb0(%i: f32, %j: f32, %o: f32):
    %s = arith.mulf %i, %j : f32
    linalg.yield %s : f32
  } -> tensor<8xf32>
  return %1 : tensor<8xf32>
}

// -----

// Nothing to compute, nothing to mark.
// CHECK-LABEL: func.func @nothing
// CHECK-NOT: stepwell
func.func @nothing(%x: tensor<4xf32>) -> tensor<4xf32> {
  return %x : tensor<4xf32>
}
