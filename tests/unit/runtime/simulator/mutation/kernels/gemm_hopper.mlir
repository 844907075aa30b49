// A product of bfloat16 matrices, the second one transposed, with a number of rows that is known late.
#a = affine_map<(m, n, k) -> (m, k)>
#b = affine_map<(m, n, k) -> (n, k)>
#c = affine_map<(m, n, k) -> (m, n)>
#same = affine_map<(m, n) -> (m, n)>
func.func @k0(%a: tensor<?x200xbf16> {stepwell.sizes = ["s0"]}, %b: tensor<72x200xbf16>,
              %s0: index {stepwell.symbol = "s0"}) -> tensor<?x72xbf16>
    attributes {stepwell.result_sizes = [["s0"]]} {
  %zero = arith.constant 0.0 : f32
  %empty = tensor.empty(%s0) : tensor<?x72xf32>
  %start = linalg.fill ins(%zero : f32) outs(%empty : tensor<?x72xf32>) -> tensor<?x72xf32>
  %sums = linalg.generic {indexing_maps = [#a, #b, #c], iterator_types = ["parallel", "parallel", "reduction"]}
      ins(%a, %b : tensor<?x200xbf16>, tensor<72x200xbf16>) outs(%start : tensor<?x72xf32>) {
  ^bb0(%x: bf16, %y: bf16, %s: f32):
    %xe = arith.extf %x : bf16 to f32
    %ye = arith.extf %y : bf16 to f32
    %p = arith.mulf %xe, %ye : f32
    %r = arith.addf %s, %p : f32
    linalg.yield %r : f32
  } -> tensor<?x72xf32>
  %out = tensor.empty(%s0) : tensor<?x72xbf16>
  %0 = linalg.generic {indexing_maps = [#same, #same], iterator_types = ["parallel", "parallel"]}
      ins(%sums : tensor<?x72xf32>) outs(%out : tensor<?x72xbf16>) {
  ^bb0(%x: f32, %o: bf16):
    %r = arith.truncf %x : f32 to bf16
    linalg.yield %r : bf16
  } -> tensor<?x72xbf16>
  return %0 : tensor<?x72xbf16>
}
