// RUN: stepwell-opt %s --pass-pipeline="builtin.module(reference-cpu)" | FileCheck %s

// CHECK: llvm.func @expf(f32) -> f32
// CHECK-LABEL: llvm.func @main
// CHECK: llvm.call @expf
// CHECK: llvm.func @_mlir_ciface_main
// CHECK-NOT: builtin.unrealized_conversion_cast
func.func @main(%x: tensor<?xf32>) -> tensor<?xf32> {
  %c0 = arith.constant 0 : index
  %n = tensor.dim %x, %c0 : tensor<?xf32>
  %e = tensor.empty(%n) : tensor<?xf32>
  %r = linalg.generic {indexing_maps = [affine_map<(i) -> (i)>, affine_map<(i) -> (i)>], iterator_types = ["parallel"]}
      ins(%x : tensor<?xf32>) outs(%e : tensor<?xf32>) {
    ^bb0(%a: f32, %o: f32):
      %y = math.exp %a : f32
      linalg.yield %y : f32 } -> tensor<?xf32>
  return %r : tensor<?xf32>
}
