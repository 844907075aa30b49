// A product of single-precision matrices with sums in single precision.
#a = affine_map<(m, n, k) -> (m, k)>
#b = affine_map<(m, n, k) -> (k, n)>
#c = affine_map<(m, n, k) -> (m, n)>
func.func @k0(%a: tensor<24x24xf32>, %b: tensor<24x28xf32>) -> tensor<24x28xf32> {
  %zero = arith.constant 0.0 : f32
  %empty = tensor.empty() : tensor<24x28xf32>
  %start = linalg.fill ins(%zero : f32) outs(%empty : tensor<24x28xf32>) -> tensor<24x28xf32>
  %0 = linalg.generic {indexing_maps = [#a, #b, #c], iterator_types = ["parallel", "parallel", "reduction"]}
      ins(%a, %b : tensor<24x24xf32>, tensor<24x28xf32>) outs(%start : tensor<24x28xf32>) {
  ^bb0(%x: f32, %y: f32, %s: f32):
    %p = arith.mulf %x, %y : f32
    %r = arith.addf %s, %p : f32
    linalg.yield %r : f32
  } -> tensor<24x28xf32>
  return %0 : tensor<24x28xf32>
}
