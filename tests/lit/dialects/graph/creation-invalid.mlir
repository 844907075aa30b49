// RUN: stepwell-opt %s --split-input-file --verify-diagnostics

func.func @constant_of_another_type() -> tensor<f64> {
  // expected-error @+1 {{result 0 must be float32[], got float64[]}}
  %0 = "graph.constant"() {value = 2.5 : f64, dtype = "float32"} : () -> tensor<f64>
  return %0 : tensor<f64>
}

// -----

func.func @full_of_a_tensor(%x: tensor<3xf32>) -> tensor<3x3xf32> {
  // expected-error @+1 {{'graph.full' needs a 0-d value, got float32[3]}}
  %0 = "graph.full"(%x) {sizes = ["3", "3"]} : (tensor<3xf32>) -> tensor<3x3xf32>
  return %0 : tensor<3x3xf32>
}

// -----

func.func @arange_by_float32(%x: tensor<f32>) -> tensor<3xf32> {
  // expected-error @+1 {{'graph.arange' needs two 0-d operands of int64 or float64}}
  %0 = "graph.arange"(%x, %x) {sizes = ["3"], dtype = "float32"} : (tensor<f32>, tensor<f32>) -> tensor<3xf32>
  return %0 : tensor<3xf32>
}

// -----

func.func @arange_of_rank_2(%x: tensor<i64>) -> tensor<3x3xi64> {
  // expected-error @+1 {{'graph.arange' makes tensors of rank 1, got 2 sizes}}
  %0 = "graph.arange"(%x, %x) {sizes = ["3", "3"], dtype = "int64"} : (tensor<i64>, tensor<i64>) -> tensor<3x3xi64>
  return %0 : tensor<3x3xi64>
}

// -----

func.func @size_is_no_expression() -> tensor<i64> {
  // expected-error @+1 {{'s0 +' is not a size expression}}
  %0 = "graph.size"() {value = "s0 +"} : () -> tensor<i64>
  return %0 : tensor<i64>
}
