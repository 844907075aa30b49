// RUN: stepwell-opt %s --verify-kernels --split-input-file --verify-diagnostics

func.func @main(%n: tensor<i32>) {
  // expected-error@below {{a size is read from a tensor<i64>, got tensor<i32>}}
  %0 = "plan.read_size"(%n) {label = "u0"} : (tensor<i32>) -> index
  return
}

// -----

func.func @main(%n: tensor<i64>) {
  // expected-error@below {{'0u' is no name of a size}}
  %0 = "plan.read_size"(%n) {label = "0u"} : (tensor<i64>) -> index
  return
}

// -----

func.func @main(%n: tensor<i64>) {
  // expected-error@below {{size 'u0' has itself as a bound}}
  %0 = "plan.read_size"(%n) {label = "u0", minimum = "u0 - 1"} : (tensor<i64>) -> index
  return
}
