// RUN: stepwell-opt %s --linalg-fuse --form-kernels --plan-buffers --verify-kernels --split-input-file | FileCheck %s
// RUN: stepwell-opt %s --cse --linalg-fuse --form-kernels --plan-buffers --split-input-file | FileCheck %s

// What the host must read stands between kernels, though the ops before and behind it would fuse: @k0 makes the number
// and the elements, @k1 takes as many as the host has read.  What is of that size lives in arena 1, which the read opens.
#id = affine_map<(d0) -> (d0)>
#none = affine_map<(d0) -> ()>
// CHECK-LABEL: func.func @main
// CHECK-SAME: stepwell.arena = "{{[0-9]+}}"
// CHECK: %[[FIRST:.*]]:2 = "plan.launch"(%{{.*}}) {kernel = @[[K:.*]]::@[[K]], {{.*}}sizes = []}
// CHECK: "plan.read_size"(%[[FIRST]]#{{[01]}}) {arena = "64*((4*u0 + 63) // 64)", label = "u0", maximum = "16", minimum = "0"}
// CHECK: "plan.launch"(%{{.*}}) {{.*}}placements = [{index = 1 : i64, offset = "0", space = "arena"}]{{.*}}sizes = ["u0"]}
// CHECK: "plan.launch"
// CHECK: return
func.func @main(%x: tensor<16xf32> {stepwell.name = "x", stepwell.kind = "user"}) -> tensor<16x16xf32> {
  %e = tensor.empty() : tensor<16xf32>
  %0 = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel"]}
      ins(%x : tensor<16xf32>) outs(%e : tensor<16xf32>) {
  ^bb0(%i: f32, %o: f32):
    %s = math.exp %i : f32
    linalg.yield %s : f32
  } -> tensor<16xf32>
  %zero = arith.constant 0 : i64
  %en = tensor.empty() : tensor<i64>
  %start = linalg.fill ins(%zero : i64) outs(%en : tensor<i64>) -> tensor<i64>
  %n = linalg.generic {indexing_maps = [#id, #none], iterator_types = ["reduction"]}
      ins(%0 : tensor<16xf32>) outs(%start : tensor<i64>) {
  ^bb0(%i: f32, %o: i64):
    %one = arith.constant 1 : i64
    %s = arith.addi %o, %one : i64
    linalg.yield %s : i64
  } -> tensor<i64>
  %u0 = "plan.read_size"(%n) {label = "u0", minimum = "0", maximum = "16"} : (tensor<i64>) -> index
  %part = tensor.extract_slice %0[0] [%u0] [1] : tensor<16xf32> to tensor<?xf32>
  %eu = tensor.empty(%u0) : tensor<?xf32>
  %1 = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel"]}
      ins(%part : tensor<?xf32>) outs(%eu : tensor<?xf32>) {
  ^bb0(%i: f32, %o: f32):
    %s = math.log %i : f32
    linalg.yield %s : f32
  } -> tensor<?xf32>
  %fz = arith.constant 0.0 : f32
  %em = tensor.empty() : tensor<16x16xf32>
  %fill = linalg.fill ins(%fz : f32) outs(%em : tensor<16x16xf32>) -> tensor<16x16xf32>
  %2 = linalg.generic {indexing_maps = [affine_map<(d0, d1, d2) -> (d2)>, affine_map<(d0, d1, d2) -> (d0, d1)>], iterator_types = ["parallel", "parallel", "reduction"]}
      ins(%1 : tensor<?xf32>) outs(%fill : tensor<16x16xf32>) {
  ^bb0(%i: f32, %o: f32):
    %s = arith.addf %o, %i : f32
    linalg.yield %s : f32
  } -> tensor<16x16xf32>
  return %2 : tensor<16x16xf32>
}

// -----

// A number that is an argument is read from there; what does not depend on it may go before it or behind it.
// CHECK-LABEL: func.func @main
// CHECK-SAME: %[[N:.*]]: tensor<i64>
// CHECK: "plan.read_size"(%[[N]]) {arena = "0", label = "u0"}
// CHECK: "plan.launch"() {{.*}}placements = [{index = 0 : i64, space = "result"}]{{.*}}sizes = ["u0"]
func.func @main(%n: tensor<i64> {stepwell.name = "n", stepwell.kind = "user"}) -> tensor<?xf32> {
  %u0 = "plan.read_size"(%n) {label = "u0"} : (tensor<i64>) -> index
  %c = arith.constant 2.0 : f32
  %e = tensor.empty(%u0) : tensor<?xf32>
  %0 = linalg.fill ins(%c : f32) outs(%e : tensor<?xf32>) -> tensor<?xf32>
  return %0 : tensor<?xf32>
}
