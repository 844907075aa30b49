// Softmax of rows whose length is known at run time: the maximum and the sum of powers are found in one pass.  It is a
// multiple of four, else there would be a second way through the kernel, with plain loads, that one length does not take.
#in = affine_map<(i, j) -> (i, j)>
#row = affine_map<(i, j) -> (i)>
func.func @k0(%a: tensor<3x?xf32> {stepwell.sizes = ["4*s0"]}, %quarter: index {stepwell.symbol = "s0"})
    -> (tensor<3x?xf32>) attributes {stepwell.result_sizes = [["4*s0"]]} {
  %zero = arith.constant 0.0 : f32
  %low = arith.constant 0xFF800000 : f32
  %four = arith.constant 4 : index
  %size = arith.muli %quarter, %four : index
  %e1 = tensor.empty() : tensor<3xf32>
  %e2 = tensor.empty(%size) : tensor<3x?xf32>
  %lows = linalg.fill ins(%low : f32) outs(%e1 : tensor<3xf32>) -> tensor<3xf32>
  %zeros = linalg.fill ins(%zero : f32) outs(%e1 : tensor<3xf32>) -> tensor<3xf32>
  %max = linalg.generic {indexing_maps = [#in, #row], iterator_types = ["parallel", "reduction"]}
      ins(%a : tensor<3x?xf32>) outs(%lows : tensor<3xf32>) {
  ^bb0(%x: f32, %s: f32):
    %r = arith.maximumf %s, %x : f32
    linalg.yield %r : f32
  } -> tensor<3xf32>
  %exp = linalg.generic {indexing_maps = [#in, #row, #in], iterator_types = ["parallel", "parallel"]}
      ins(%a, %max : tensor<3x?xf32>, tensor<3xf32>) outs(%e2 : tensor<3x?xf32>) {
  ^bb0(%x: f32, %m: f32, %o: f32):
    %d = arith.subf %x, %m : f32
    %r = math.exp %d : f32
    linalg.yield %r : f32
  } -> tensor<3x?xf32>
  %sum = linalg.generic {indexing_maps = [#in, #row], iterator_types = ["parallel", "reduction"]}
      ins(%exp : tensor<3x?xf32>) outs(%zeros : tensor<3xf32>) {
  ^bb0(%x: f32, %s: f32):
    %r = arith.addf %s, %x : f32
    linalg.yield %r : f32
  } -> tensor<3xf32>
  %0 = linalg.generic {indexing_maps = [#in, #row, #in], iterator_types = ["parallel", "parallel"]}
      ins(%exp, %sum : tensor<3x?xf32>, tensor<3xf32>) outs(%e2 : tensor<3x?xf32>) {
  ^bb0(%x: f32, %m: f32, %o: f32):
    %r = arith.divf %x, %m : f32
    linalg.yield %r : f32
  } -> tensor<3x?xf32>
  return %0 : tensor<3x?xf32>
}
