// A transposition of a matrix whose sides no tile divides.
#in = affine_map<(i, j) -> (j, i)>
#out = affine_map<(i, j) -> (i, j)>
func.func @k0(%a: tensor<37x45xf32>) -> tensor<45x37xf32> {
  %out = tensor.empty() : tensor<45x37xf32>
  %0 = linalg.generic {indexing_maps = [#in, #out], iterator_types = ["parallel", "parallel"]}
      ins(%a : tensor<37x45xf32>) outs(%out : tensor<45x37xf32>) {
  ^bb0(%x: f32, %o: f32):
    linalg.yield %x : f32
  } -> tensor<45x37xf32>
  return %0 : tensor<45x37xf32>
}
