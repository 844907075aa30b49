// RUN: stepwell-opt %s --expand-math --split-input-file --verify-diagnostics

func.func @narrow(%x: f16) -> f16 {
  // expected-error @+1 {{'math.exp' op expects f32 or f64, got f16; kernels widen before they compute}}
  %0 = math.exp %x : f16
  return %0 : f16
}

// -----

func.func @tensor(%x: tensor<4xf32>) -> tensor<4xf32> {
  // expected-error @+1 {{'math.tanh' op expects scalars or vectors; tensors are tiled and vectorized before}}
  %0 = math.tanh %x : tensor<4xf32>
  return %0 : tensor<4xf32>
}
