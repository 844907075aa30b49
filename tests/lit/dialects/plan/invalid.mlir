// RUN: stepwell-opt %s --verify-kernels --split-input-file --verify-diagnostics

func.func @main(%x: tensor<?x8xf32, ["s0"]>) {
  // expected-error@below {{'plan.symbol' op dimension 1 of tensor<?x8xf32, ["s0"]> is not 's0'}}
  "plan.symbol"(%x) {label = "s0", dim = 1 : i64} : (tensor<?x8xf32, ["s0"]>) -> ()
  return
}

// -----

func.func @main(%x: tensor<4x8xf32>) -> tensor<8xf32> {
  // expected-error@below {{'plan.view' op a view of 32 elements cannot have 8 elements}}
  %0 = "plan.view"(%x) : (tensor<4x8xf32>) -> tensor<8xf32>
  return %0 : tensor<8xf32>
}

// -----

func.func @main(%x: tensor<8xf32>) -> tensor<8xi32> {
  // expected-error@below {{'plan.view' op a view cannot turn float32 into int32}}
  %0 = "plan.view"(%x) : (tensor<8xf32>) -> tensor<8xi32>
  return %0 : tensor<8xi32>
}
