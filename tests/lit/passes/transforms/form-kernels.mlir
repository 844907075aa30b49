// RUN: stepwell-opt %s --linalg-fuse --form-kernels --split-input-file | FileCheck %s
// RUN: stepwell-opt %s --linalg-fuse --form-kernels --form-kernels --split-input-file | FileCheck %s

// Two equal ops are one kernel; the reshape between them is a view; the size is bound once.
#id = affine_map<(d0) -> (d0)>
// CHECK-LABEL: func.func @main
// CHECK-SAME: %[[X:.*]]: tensor<?xf32, ["s0"]>
func.func @main(%x: tensor<?xf32> {stepwell.name = "x", stepwell.kind = "user", stepwell.sizes = ["s0"]})
    -> (tensor<?xf32>, tensor<?x1xf32>) {
  // CHECK: "plan.symbol"(%[[X]]) {dim = 0 : i64, label = "s0"}
  %c0 = arith.constant 0 : index
  %n = tensor.dim %x, %c0 : tensor<?xf32>
  %e = tensor.empty(%n) : tensor<?xf32>
  // CHECK: %[[A:.*]] = "plan.launch"(%[[X]]) {kernel = @k0::@k0, {{.*}} sizes = ["s0"]}
  %0 = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel"]}
      ins(%x : tensor<?xf32>) outs(%e : tensor<?xf32>) {
  ^bb0(%i: f32, %o: f32):
    %s = math.exp %i : f32
    linalg.yield %s : f32
  } -> tensor<?xf32>
  // CHECK: %[[V:.*]] = "plan.view"(%[[A]]) : (tensor<?xf32, ["s0"]>) -> tensor<?x1xf32, ["s0"]>
  %1 = tensor.expand_shape %0 [[0, 1]] output_shape [%n, 1] : tensor<?xf32> into tensor<?x1xf32>
  %2 = tensor.collapse_shape %1 [[0, 1]] : tensor<?x1xf32> into tensor<?xf32>
  // CHECK: %[[B:.*]] = "plan.launch"({{.*}}) {kernel = @k0::@k0,
  %3 = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel"]}
      ins(%2 : tensor<?xf32>) outs(%e : tensor<?xf32>) {
  ^bb0(%i: f32, %o: f32):
    %s = math.exp %i : f32
    linalg.yield %s : f32
  } -> tensor<?xf32>
  // CHECK: return %[[B]], %[[V]]
  return %3, %1 : tensor<?xf32>, tensor<?x1xf32>
}
// CHECK: module @k0
// CHECK: func.func @k0(%{{.*}}: tensor<?xf32> {stepwell.sizes = ["s0"]}, %[[N:.*]]: index {stepwell.symbol = "s0"})
// CHECK-SAME: attributes {stepwell.result_sizes = {{\[}}["s0"]]}
// CHECK: tensor.empty(%[[N]])
// CHECK-NOT: module @k1

// -----

// What weights alone decide runs once, in prepare; the kernel of each call is told that the tensor never changes.
#id = affine_map<(d0) -> (d0)>
// CHECK-LABEL: func.func @main
// CHECK: %[[P:.*]] = "plan.prepared"() {index = 0 : i64}
// CHECK: "plan.launch"(%{{.*}}, %[[P]]) {kernel = @[[MUL:k.]]::
// CHECK-LABEL: func.func @prepare
// CHECK-SAME: (%[[W:.*]]: tensor<8xf32> {stepwell.argument = 1 : i64})
// CHECK: %[[E:.*]] = "plan.launch"(%[[W]])
// CHECK: return %[[E]]
// CHECK: func.func @[[MUL]](%{{.*}}: tensor<8xf32>, %{{.*}}: tensor<8xf32> {stepwell.constant})
func.func @main(%x: tensor<8xf32> {stepwell.kind = "user"}, %w: tensor<8xf32> {stepwell.kind = "parameter"})
    -> tensor<8xf32> {
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

// A buffer that calls change is no constant.
#id = affine_map<(d0) -> (d0)>
// CHECK-LABEL: func.func @main
// CHECK-NOT: plan.prepared
// CHECK-NOT: func.func @prepare
// CHECK-NOT: stepwell.constant
func.func @main(%w: tensor<8xf32> {stepwell.kind = "buffer", stepwell.mutated}) -> tensor<8xf32> {
  %e = tensor.empty() : tensor<8xf32>
  %0 = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel"]}
      ins(%w : tensor<8xf32>) outs(%e : tensor<8xf32>) {
  ^bb0(%i: f32, %o: f32):
    %s = math.exp %i : f32
    linalg.yield %s : f32
  } -> tensor<8xf32>
  return %0 : tensor<8xf32>
}

// -----

// No op, no kernel.
// CHECK-LABEL: func.func @main
// CHECK-NEXT: return
// CHECK-NOT: module @
func.func @main(%x: tensor<4xf32>) -> tensor<4xf32> {
  return %x : tensor<4xf32>
}
