// RUN: stepwell-opt %s --verify-kernels --split-input-file --verify-diagnostics

func.func @main(%x: tensor<4xf32>) -> tensor<4xf32> {
  // expected-error@below {{'tensor.empty' op is not allowed at stage 'kernels': computing belongs into kernels; form-kernels moves it there}}
  %0 = tensor.empty() : tensor<4xf32>
  return %0 : tensor<4xf32>
}

// -----

module @k0 {
  // expected-error@below {{'func.func' op argument 0 has 1 dynamic sizes and 0 names in 'stepwell.sizes'}}
  func.func @k0(%x: tensor<?xf32>) {
    return
  }
}

// -----

module @k0 {
  // expected-error@below {{'func.func' op argument 1 is an index without 'stepwell.symbol'}}
  func.func @k0(%x: tensor<4xf32>, %n: index) {
    return
  }
}

// -----

module @k0 {
  // expected-error@below {{'func.func' op result 0 has 1 dynamic sizes and 0 names in 'stepwell.result_sizes'}}
  func.func @k0(%n: index {stepwell.symbol = "s0"}) -> tensor<?xf32> {
    %e = tensor.empty(%n) : tensor<?xf32>
    return %e : tensor<?xf32>
  }
}

// -----

module @k0 {
  // expected-error@below {{'func.func' op no index argument carries the size '2*s0'}}
  func.func @k0(%x: tensor<?xf32> {stepwell.sizes = ["2*s0"]}, %n: index {stepwell.symbol = "s0"}) {
    return
  }
}
