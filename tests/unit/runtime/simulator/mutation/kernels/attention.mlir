// Causal attention of one head: two products with a softmax between.
#map = affine_map<(d0, d1, d2, d3, d4) -> (d0, d1, d2, d4)>
#map1 = affine_map<(d0, d1, d2, d3, d4) -> (d0, d1, d3, d4)>
#map2 = affine_map<(d0, d1, d2, d3, d4) -> (d0, d1, d2, d3)>
#map3 = affine_map<(d0, d1, d2, d3) -> (d0, d1, d2, d3)>
#map4 = affine_map<(d0, d1, d2, d3) -> (d0, d1, d2)>
#map5 = affine_map<(d0, d1, d2, d3, d4) -> (d0, d1, d4, d3)>
func.func @k0(%arg0: tensor<1x1x100x16xf16>, %arg1: tensor<1x1x100x16xf16>, %arg2: tensor<1x1x100x16xf16>) -> tensor<1x1x100x16xf16> {
  %cst = arith.constant 0.000000e+00 : f32
  %0 = tensor.empty() : tensor<1x1x100x100xf32>
  %1 = linalg.fill ins(%cst : f32) outs(%0 : tensor<1x1x100x100xf32>) -> tensor<1x1x100x100xf32>
  %2 = linalg.generic {indexing_maps = [#map, #map1, #map2], iterator_types = ["parallel", "parallel", "parallel", "parallel", "reduction"]} ins(%arg0, %arg1 : tensor<1x1x100x16xf16>, tensor<1x1x100x16xf16>) outs(%1 : tensor<1x1x100x100xf32>) {
  ^bb0(%x: f16, %y: f16, %o: f32):
    %18 = arith.extf %x : f16 to f32
    %19 = arith.extf %y : f16 to f32
    %20 = arith.mulf %18, %19 : f32
    %21 = arith.addf %o, %20 : f32
    linalg.yield %21 : f32
  } -> tensor<1x1x100x100xf32>
  %3 = linalg.generic {indexing_maps = [#map3, #map3], iterator_types = ["parallel", "parallel", "parallel", "parallel"]} ins(%2 : tensor<1x1x100x100xf32>) outs(%0 : tensor<1x1x100x100xf32>) {
  ^bb0(%x: f32, %o: f32):
    %cst_1 = arith.constant 2.500000e-01 : f32
    %18 = arith.mulf %x, %cst_1 : f32
    %cst_2 = arith.constant 0xFF800000 : f32
    %19 = linalg.index 2 : index
    %20 = linalg.index 3 : index
    %21 = arith.cmpi sle, %20, %19 : index
    %22 = arith.select %21, %18, %cst_2 : f32
    linalg.yield %22 : f32
  } -> tensor<1x1x100x100xf32>
  %cst_0 = arith.constant 0xFF800000 : f32
  %4 = tensor.empty() : tensor<1x1x100xf32>
  %5 = linalg.fill ins(%cst_0 : f32) outs(%4 : tensor<1x1x100xf32>) -> tensor<1x1x100xf32>
  %6 = linalg.generic {indexing_maps = [#map3, #map4], iterator_types = ["parallel", "parallel", "parallel", "reduction"]} ins(%3 : tensor<1x1x100x100xf32>) outs(%5 : tensor<1x1x100xf32>) {
  ^bb0(%x: f32, %o: f32):
    %18 = arith.maximumf %o, %x : f32
    linalg.yield %18 : f32
  } -> tensor<1x1x100xf32>
  %7 = linalg.generic {indexing_maps = [#map3, #map4, #map3], iterator_types = ["parallel", "parallel", "parallel", "parallel"]} ins(%3, %6 : tensor<1x1x100x100xf32>, tensor<1x1x100xf32>) outs(%0 : tensor<1x1x100x100xf32>) {
  ^bb0(%x: f32, %y: f32, %o: f32):
    %18 = arith.cmpf oeq, %y, %cst_0 : f32
    %19 = arith.select %18, %cst, %y : f32
    %20 = arith.subf %x, %19 : f32
    %21 = math.exp %20 : f32
    linalg.yield %21 : f32
  } -> tensor<1x1x100x100xf32>
  %8 = linalg.fill ins(%cst : f32) outs(%4 : tensor<1x1x100xf32>) -> tensor<1x1x100xf32>
  %9 = linalg.generic {indexing_maps = [#map3, #map4], iterator_types = ["parallel", "parallel", "parallel", "reduction"]} ins(%7 : tensor<1x1x100x100xf32>) outs(%8 : tensor<1x1x100xf32>) {
  ^bb0(%x: f32, %o: f32):
    %18 = arith.addf %o, %x : f32
    linalg.yield %18 : f32
  } -> tensor<1x1x100xf32>
  %10 = linalg.generic {indexing_maps = [#map3, #map4, #map3], iterator_types = ["parallel", "parallel", "parallel", "parallel"]} ins(%7, %9 : tensor<1x1x100x100xf32>, tensor<1x1x100xf32>) outs(%0 : tensor<1x1x100x100xf32>) {
  ^bb0(%x: f32, %y: f32, %o: f32):
    %18 = arith.divf %x, %y : f32
    %19 = arith.cmpf oeq, %y, %cst : f32
    %20 = arith.select %19, %cst, %18 : f32
    linalg.yield %20 : f32
  } -> tensor<1x1x100x100xf32>
  %11 = tensor.empty() : tensor<1x1x100x100xf16>
  %12 = linalg.generic {indexing_maps = [#map3, #map3], iterator_types = ["parallel", "parallel", "parallel", "parallel"]} ins(%10 : tensor<1x1x100x100xf32>) outs(%11 : tensor<1x1x100x100xf16>) {
  ^bb0(%x: f32, %o: f16):
    %18 = arith.truncf %x : f32 to f16
    linalg.yield %18 : f16
  } -> tensor<1x1x100x100xf16>
  %13 = tensor.empty() : tensor<1x1x100x16xf32>
  %14 = linalg.fill ins(%cst : f32) outs(%13 : tensor<1x1x100x16xf32>) -> tensor<1x1x100x16xf32>
  %15 = linalg.generic {indexing_maps = [#map, #map5, #map2], iterator_types = ["parallel", "parallel", "parallel", "parallel", "reduction"]} ins(%12, %arg2 : tensor<1x1x100x100xf16>, tensor<1x1x100x16xf16>) outs(%14 : tensor<1x1x100x16xf32>) {
  ^bb0(%x: f16, %y: f16, %o: f32):
    %18 = arith.extf %x : f16 to f32
    %19 = arith.extf %y : f16 to f32
    %20 = arith.mulf %18, %19 : f32
    %21 = arith.addf %o, %20 : f32
    linalg.yield %21 : f32
  } -> tensor<1x1x100x16xf32>
  %16 = tensor.empty() : tensor<1x1x100x16xf16>
  %17 = linalg.generic {indexing_maps = [#map3, #map3], iterator_types = ["parallel", "parallel", "parallel", "parallel"]} ins(%15 : tensor<1x1x100x16xf32>) outs(%16 : tensor<1x1x100x16xf16>) {
  ^bb0(%x: f32, %o: f16):
    %18 = arith.truncf %x : f32 to f16
    linalg.yield %18 : f16
  } -> tensor<1x1x100x16xf16>
  return %17 : tensor<1x1x100x16xf16>
}

