// RUN: stepwell-opt %s --split-input-file --verify-diagnostics

func.func @two_dtypes(%x: tensor<3xf32>, %y: tensor<3xi64>) -> tensor<3xf32> {
  // expected-error @+1 {{operands of 'graph.add' must have one dtype, got float32, int64}}
  %0 = "graph.add"(%x, %y) : (tensor<3xf32>, tensor<3xi64>) -> tensor<3xf32>
  return %0 : tensor<3xf32>
}

// -----

func.func @sizes_that_differ(%x: tensor<3xf32>, %y: tensor<4xf32>) -> tensor<3xf32> {
  // expected-error @+1 {{sizes 3 and 4 at dimension 0 do not broadcast}}
  %0 = "graph.mul"(%x, %y) : (tensor<3xf32>, tensor<4xf32>) -> tensor<3xf32>
  return %0 : tensor<3xf32>
}

// -----

func.func @wrong_result(%x: tensor<3x1xf32>, %y: tensor<4xf32>) -> tensor<3x1xf32> {
  // expected-error @+1 {{result 0 must be float32[3, 4], got float32[3, 1]}}
  %0 = "graph.sub"(%x, %y) : (tensor<3x1xf32>, tensor<4xf32>) -> tensor<3x1xf32>
  return %0 : tensor<3x1xf32>
}

// -----

func.func @function_of_integers(%x: tensor<3xi64>) -> tensor<3xi64> {
  // expected-error @+1 {{'graph.exp' needs a floating-point operand, got int64}}
  %0 = "graph.exp"(%x) : (tensor<3xi64>) -> tensor<3xi64>
  return %0 : tensor<3xi64>
}

// -----

func.func @pair_of_integers(%x: tensor<3xi64>) -> tensor<3xi64> {
  // expected-error @+1 {{'graph.atan2' needs floating-point operands, got int64}}
  %0 = "graph.atan2"(%x, %x) : (tensor<3xi64>, tensor<3xi64>) -> tensor<3xi64>
  return %0 : tensor<3xi64>
}

// -----

func.func @bits_of_floats(%x: tensor<3xf32>) -> tensor<3xf32> {
  // expected-error @+1 {{'graph.bitwise_and' needs integer operands, got float32}}
  %0 = "graph.bitwise_and"(%x, %x) : (tensor<3xf32>, tensor<3xf32>) -> tensor<3xf32>
  return %0 : tensor<3xf32>
}

// -----

func.func @shift_of_bool(%x: tensor<3xi1>) -> tensor<3xi1> {
  // expected-error @+1 {{'graph.bitwise_left_shift' needs integer operands, got bool}}
  %0 = "graph.bitwise_left_shift"(%x, %x) : (tensor<3xi1>, tensor<3xi1>) -> tensor<3xi1>
  return %0 : tensor<3xi1>
}

// -----

func.func @not_of_floats(%x: tensor<3xf32>) -> tensor<3xf32> {
  // expected-error @+1 {{'graph.bitwise_not' needs an integer or bool operand, got float32}}
  %0 = "graph.bitwise_not"(%x) : (tensor<3xf32>) -> tensor<3xf32>
  return %0 : tensor<3xf32>
}

// -----

func.func @negative_bool(%x: tensor<3xi1>) -> tensor<3xi1> {
  // expected-error @+1 {{'graph.neg' is not defined for bool}}
  %0 = "graph.neg"(%x) : (tensor<3xi1>) -> tensor<3xi1>
  return %0 : tensor<3xi1>
}

// -----

func.func @difference_of_bools(%x: tensor<3xi1>) -> tensor<3xi1> {
  // expected-error @+1 {{'graph.sub' is not defined for bool}}
  %0 = "graph.sub"(%x, %x) : (tensor<3xi1>, tensor<3xi1>) -> tensor<3xi1>
  return %0 : tensor<3xi1>
}

// -----

func.func @true_division_of_integers(%x: tensor<3xi64>) -> tensor<3xi64> {
  // expected-error @+1 {{true division needs floating-point operands}}
  %0 = "graph.div"(%x, %x) : (tensor<3xi64>, tensor<3xi64>) -> tensor<3xi64>
  return %0 : tensor<3xi64>
}

// -----

func.func @unknown_rounding(%x: tensor<3xf32>) -> tensor<3xf32> {
  // expected-error @+1 {{rounding must be floor or trunc, got up}}
  %0 = "graph.div"(%x, %x) {rounding = "up"} : (tensor<3xf32>, tensor<3xf32>) -> tensor<3xf32>
  return %0 : tensor<3xf32>
}

// -----

func.func @comparison_gives_bool(%x: tensor<3xf32>) -> tensor<3xf32> {
  // expected-error @+1 {{result 0 must be bool[3], got float32[3]}}
  %0 = "graph.lt"(%x, %x) : (tensor<3xf32>, tensor<3xf32>) -> tensor<3xf32>
  return %0 : tensor<3xf32>
}

// -----

func.func @test_of_integers(%x: tensor<3xi64>) -> tensor<3xi1> {
  // expected-error @+1 {{'graph.isnan' needs a floating-point operand, got int64}}
  %0 = "graph.isnan"(%x) : (tensor<3xi64>) -> tensor<3xi1>
  return %0 : tensor<3xi1>
}

// -----

func.func @condition_of_floats(%x: tensor<3xf32>) -> tensor<3xf32> {
  // expected-error @+1 {{the condition of 'graph.where' must be bool, got float32}}
  %0 = "graph.where"(%x, %x, %x) : (tensor<3xf32>, tensor<3xf32>, tensor<3xf32>) -> tensor<3xf32>
  return %0 : tensor<3xf32>
}

// -----

func.func @unknown_approximation(%x: tensor<3xf32>) -> tensor<3xf32> {
  // expected-error @+1 {{approximate must be none or tanh}}
  %0 = "graph.gelu"(%x) {approximate = "sinh"} : (tensor<3xf32>) -> tensor<3xf32>
  return %0 : tensor<3xf32>
}

// -----

func.func @clamp_of_two_dtypes(%x: tensor<3xf32>, %y: tensor<f64>) -> tensor<3xf32> {
  // expected-error @+1 {{operands of 'graph.clamp' must have one dtype}}
  %0 = "graph.clamp"(%x, %y) {operandSegmentSizes = array<i32: 1, 1, 0>} : (tensor<3xf32>, tensor<f64>) -> tensor<3xf32>
  return %0 : tensor<3xf32>
}

// -----

func.func @lerp_of_integers(%x: tensor<3xi64>) -> tensor<3xi64> {
  // expected-error @+1 {{'graph.lerp' needs floating-point operands, got int64}}
  %0 = "graph.lerp"(%x, %x, %x) : (tensor<3xi64>, tensor<3xi64>, tensor<3xi64>) -> tensor<3xi64>
  return %0 : tensor<3xi64>
}

// -----

func.func @addcdiv_of_integers(%x: tensor<3xi64>, %y: tensor<i64>) -> tensor<3xi64> {
  // expected-error @+1 {{'graph.addcdiv' needs floating-point operands, got int64}}
  %0 = "graph.addcdiv"(%x, %x, %x, %y) : (tensor<3xi64>, tensor<3xi64>, tensor<3xi64>, tensor<i64>) -> tensor<3xi64>
  return %0 : tensor<3xi64>
}

// -----

func.func @cast_to_another_type(%x: tensor<3xf32>) -> tensor<3xf32> {
  // expected-error @+1 {{result 0 must be int64[3], got float32[3]}}
  %0 = "graph.convert"(%x) {dtype = "int64"} : (tensor<3xf32>) -> tensor<3xf32>
  return %0 : tensor<3xf32>
}

// -----

func.func @bits_of_another_size(%x: tensor<3xf32>) -> tensor<3xi64> {
  // expected-error @+1 {{'graph.bitcast' needs dtypes of one size, and not bool: float32, int64}}
  %0 = "graph.bitcast"(%x) {dtype = "int64"} : (tensor<3xf32>) -> tensor<3xi64>
  return %0 : tensor<3xi64>
}
