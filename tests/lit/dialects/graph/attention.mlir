// RUN: stepwell-opt %s | stepwell-opt | FileCheck %s

// CHECK-LABEL: func.func @grouped_queries
func.func @grouped_queries(%q: tensor<?x8x5x16xf32, ["b"]>, %k: tensor<?x2x6x16xf32, ["b"]>, %v: tensor<?x2x6x4xf32, ["b"]>)
    -> tensor<?x8x5x4xf32, ["b"]> {
  // CHECK: "graph.scaled_dot_product_attention"
  %0 = "graph.scaled_dot_product_attention"(%q, %k, %v) {is_causal = false, enable_gqa = true, operandSegmentSizes = array<i32: 1, 1, 1, 0>} : (tensor<?x8x5x16xf32, ["b"]>, tensor<?x2x6x16xf32, ["b"]>, tensor<?x2x6x4xf32, ["b"]>) -> tensor<?x8x5x4xf32, ["b"]>
  return %0 : tensor<?x8x5x4xf32, ["b"]>
}
