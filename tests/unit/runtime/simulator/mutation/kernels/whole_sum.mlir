// The sum of a whole tensor, in two stages.
#in = affine_map<(i) -> (i)>
#one = affine_map<(i) -> ()>
func.func @k0(%a: tensor<40007xf32>) -> tensor<f32> {
  %zero = arith.constant 0.0 : f32
  %empty = tensor.empty() : tensor<f32>
  %start = linalg.fill ins(%zero : f32) outs(%empty : tensor<f32>) -> tensor<f32>
  %0 = linalg.generic {indexing_maps = [#in, #one], iterator_types = ["reduction"]}
      ins(%a : tensor<40007xf32>) outs(%start : tensor<f32>) {
  ^bb0(%x: f32, %s: f32):
    %r = arith.addf %s, %x : f32
    linalg.yield %r : f32
  } -> tensor<f32>
  return %0 : tensor<f32>
}
