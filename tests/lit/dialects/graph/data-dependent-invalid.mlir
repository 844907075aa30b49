// RUN: stepwell-opt %s --verify-graph --split-input-file --verify-diagnostics

func.func @main(%n: tensor<i32>) {
  // expected-error@below {{needs a 0-d int64 count, got int32[]}}
  "graph.bind_size"(%n) {label = "u0"} : (tensor<i32>) -> ()
  return
}

// -----

func.func @main(%n: tensor<i64>) {
  // expected-error@below {{'2*u0' is no name of a size}}
  "graph.bind_size"(%n) {label = "2*u0"} : (tensor<i64>) -> ()
  return
}

// -----

func.func @main(%n: tensor<i64>) {
  // expected-error@below {{size 'u0' has itself as a bound}}
  "graph.bind_size"(%n) {label = "u0", maximum = "u0 + 1"} : (tensor<i64>) -> ()
  return
}

// -----

func.func @main(%n: tensor<i64>) {
  // expected-error@below {{is no check of sizes}}
  "graph.bind_size"(%n) {label = "u0", checks = ["u0 > 3"]} : (tensor<i64>) -> ()
  return
}
