// RUN: stepwell-opt %s --split-input-file --verify-diagnostics

func.func @number_of_elements(%x: tensor<3x4xf32>) {
  // expected-error @+1 {{cannot reshape float32[3, 4] to [3, 5]}}
  %0 = "graph.reshape"(%x) {sizes = ["3", "5"]} : (tensor<3x4xf32>) -> tensor<3x5xf32>
  return
}

// -----

func.func @symbolic_number_of_elements(%x: tensor<?x4xf32, ["s0"]>) {
  // expected-error @+1 {{'graph.reshape' op result 0 must be float32[2*s0, 2], got float32[s0, 2]}}
  %0 = "graph.reshape"(%x) {sizes = ["2*s0", "2"]} : (tensor<?x4xf32, ["s0"]>) -> tensor<?x2xf32, ["s0"]>
  return
}

// -----

func.func @no_permutation(%x: tensor<3x4xf32>) {
  // expected-error @+1 {{dims [0, 0] must be a permutation of the 2 dimensions}}
  %0 = "graph.permute"(%x) {dims = array<i64: 0, 0>} : (tensor<3x4xf32>) -> tensor<3x3xf32>
  return
}

// -----

func.func @expands_a_size(%x: tensor<3x4xf32>) {
  // expected-error @+1 {{cannot expand dimension 0 of size 3 to 6}}
  %0 = "graph.expand"(%x) {sizes = ["6", "4"]} : (tensor<3x4xf32>) -> tensor<6x4xf32>
  return
}

// -----

func.func @loses_a_dimension(%x: tensor<1x4xf32>) {
  // expected-error @+1 {{cannot expand rank 2 to rank 1}}
  %0 = "graph.expand"(%x) {sizes = ["4"]} : (tensor<1x4xf32>) -> tensor<4xf32>
  return
}

// -----

func.func @outside(%x: tensor<3x4xf32>) {
  // expected-error @+1 {{slice 1 to 5 does not lie in a dimension of size 4}}
  %0 = "graph.slice"(%x) {dim = 1 : i64, start = "1", end = "5", step = 1 : i64} : (tensor<3x4xf32>) -> tensor<3x4xf32>
  return
}

// -----

func.func @backwards(%x: tensor<3x4xf32>) {
  // expected-error @+1 {{step must be positive, got -1}}
  %0 = "graph.slice"(%x) {dim = 1 : i64, start = "0", end = "4", step = -1 : i64} : (tensor<3x4xf32>) -> tensor<3x4xf32>
  return
}

// -----

func.func @negative_dim(%x: tensor<3x4xf32>) {
  // expected-error @+1 {{dimension -1 is out of range for rank 2}}
  %0 = "graph.slice"(%x) {dim = -1 : i64, start = "0", end = "4", step = 1 : i64} : (tensor<3x4xf32>) -> tensor<3x4xf32>
  return
}

// -----

func.func @flips_twice(%x: tensor<3x4xf32>) {
  // expected-error @+1 {{dims [1, 1] must be different dimensions of a rank 2 tensor}}
  %0 = "graph.flip"(%x) {dims = array<i64: 1, 1>} : (tensor<3x4xf32>) -> tensor<3x4xf32>
  return
}

// -----

func.func @window_too_wide(%x: tensor<3x4xf32>) {
  // expected-error @+1 {{no window of 3 elements fits dimension 1 of float32[3, 4]}}
  %0 = "graph.unfold"(%x) {dim = 1 : i64, size = 3 : i64, step = 1 : i64, dilation = 2 : i64} : (tensor<3x4xf32>) -> tensor<3x1x3xf32>
  return
}

// -----

func.func @beyond_the_end(%x: tensor<3x4xf32>) {
  // expected-error @+1 {{the last element, 12, lies outside float32[3, 4]}}
  %0 = "graph.as_strided"(%x) {sizes = ["4", "4"], strides = ["4", "0"], offset = "0"} : (tensor<3x4xf32>) -> tensor<4x4xf32>
  return
}
