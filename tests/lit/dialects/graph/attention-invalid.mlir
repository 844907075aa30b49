// RUN: stepwell-opt %s --split-input-file --verify-diagnostics

func.func @heads(%q: tensor<1x8x5x16xf32>, %k: tensor<1x3x6x16xf32>, %v: tensor<1x3x6x4xf32>) {
  // expected-error @+1 {{8 query heads do not split over 3 key heads}}
  %0 = "graph.scaled_dot_product_attention"(%q, %k, %v) {is_causal = false, enable_gqa = true, operandSegmentSizes = array<i32: 1, 1, 1, 0>} : (tensor<1x8x5x16xf32>, tensor<1x3x6x16xf32>, tensor<1x3x6x4xf32>) -> tensor<1x8x5x4xf32>
  return
}

// -----

func.func @widths(%q: tensor<1x8x5x16xf32>, %k: tensor<1x8x6x8xf32>, %v: tensor<1x8x6x4xf32>) {
  // expected-error @+1 {{do not fit}}
  %0 = "graph.scaled_dot_product_attention"(%q, %k, %v) {is_causal = false, enable_gqa = false, operandSegmentSizes = array<i32: 1, 1, 1, 0>} : (tensor<1x8x5x16xf32>, tensor<1x8x6x8xf32>, tensor<1x8x6x4xf32>) -> tensor<1x8x5x4xf32>
  return
}
