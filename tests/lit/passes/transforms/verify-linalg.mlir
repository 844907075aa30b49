// RUN: stepwell-opt %s --verify-linalg | FileCheck %s

// CHECK: module attributes {stepwell.stage = "linalg"}

#id = affine_map<(d0) -> (d0)>

// Every form of the stage: generics with assertions and gathers inside, reshapes, slices, loops, sizes.
// CHECK-LABEL: func.func @main(
func.func @main(%x: tensor<?xf32> {stepwell.sizes = ["s0"]}, %t: tensor<8xi64>) -> (tensor<?xf32>, tensor<2x4xi64>) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %n = tensor.dim %x, %c0 : tensor<?xf32>
  %e = tensor.empty(%n) : tensor<?xf32>
  // CHECK: linalg.generic
  %0 = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel"]}
      ins(%x : tensor<?xf32>) outs(%e : tensor<?xf32>) {
  ^bb0(%a: f32, %o: f32):
    %i = linalg.index 0 : index
    %ok = arith.cmpi slt, %i, %n : index
    cf.assert %ok, "index-out-of-range: x"
    %v = tensor.extract %x[%i] : tensor<?xf32>
    %y = math.exp %v : f32
    linalg.yield %y : f32
  } -> tensor<?xf32>
  %1 = scf.for %i = %c0 to %n step %c1 iter_args(%acc = %0) -> tensor<?xf32> {
    %v = tensor.extract %acc[%i] : tensor<?xf32>
    %s = tensor.insert %v into %acc[%i] : tensor<?xf32>
    scf.yield %s : tensor<?xf32>
  }
  // CHECK: tensor.expand_shape
  %2 = tensor.expand_shape %t [[0, 1]] output_shape [2, 4] : tensor<8xi64> into tensor<2x4xi64>
  return %1, %2 : tensor<?xf32>, tensor<2x4xi64>
}
