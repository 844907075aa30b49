// RUN: stepwell-opt %s --convert-graph-to-linalg --split-input-file --verify-diagnostics

// Every op that cannot be lowered is named, and nothing is changed before.
func.func @foreign_ops(%x: tensor<4xf32>) -> tensor<4xf32> {
  %0 = "graph.relu"(%x) : (tensor<4xf32>) -> tensor<4xf32>
  // expected-error @+1 {{failed to legalize operation 'math.exp'}}
  %1 = math.exp %0 : tensor<4xf32>
  // expected-error @+1 {{failed to legalize operation 'math.tanh'}}
  %2 = math.tanh %1 : tensor<4xf32>
  return %2 : tensor<4xf32>
}
