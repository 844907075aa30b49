// A broadcast bias and a maximum with zero, over a size that no vector divides.
#same = affine_map<(i, j) -> (i, j)>
#last = affine_map<(i, j) -> (j)>
func.func @k0(%a: tensor<5x67xf32>, %b: tensor<67xf32>) -> tensor<5x67xf32> {
  %out = tensor.empty() : tensor<5x67xf32>
  %0 = linalg.generic {indexing_maps = [#same, #last, #same], iterator_types = ["parallel", "parallel"]}
      ins(%a, %b : tensor<5x67xf32>, tensor<67xf32>) outs(%out : tensor<5x67xf32>) {
  ^bb0(%x: f32, %y: f32, %o: f32):
    %zero = arith.constant 0.0 : f32
    %sum = arith.addf %x, %y : f32
    %r = arith.maximumf %sum, %zero : f32
    linalg.yield %r : f32
  } -> tensor<5x67xf32>
  return %0 : tensor<5x67xf32>
}
