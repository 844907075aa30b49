// RUN: stepwell-opt %s --verify-graph --split-input-file --verify-diagnostics

func.func @later_dialects(%x: tensor<4xf32>) -> tensor<4xf32> {
  // expected-error@below {{'tensor.empty' op is not allowed at stage 'graph': torch's operations are ops of the graph dialect here}}
  %e = tensor.empty() : tensor<4xf32>
  // expected-error@below {{'linalg.exp' op is not allowed at stage 'graph': linalg ops come after this stage}}
  %0 = linalg.exp ins(%x : tensor<4xf32>) outs(%e : tensor<4xf32>) -> tensor<4xf32>
  // expected-error@below {{'arith.constant' op is not allowed at stage 'graph': scalars are graph.constant ops of rank 0}}
  %c = arith.constant 1 : i32
  return %0 : tensor<4xf32>
}

// -----

// expected-error@below {{'func.func' op has type tensor<?x4xf32>: types carry one name for each dynamic size at stage 'graph'}}
func.func @sizes_without_names(%x: tensor<?x4xf32>) -> tensor<?x4xf32> {
  return %x : tensor<?x4xf32>
}

// -----

// expected-error@below {{'func.func' op has type tensor<*xf32>: ranks are known at stage 'graph'}}
func.func @unknown_rank(%x: tensor<*xf32>) {
  return
}

// -----

// expected-error@below {{'func.func' op has type memref<4xf32>: buffers have no place at stage 'graph'}}
func.func @memory(%x: memref<4xf32>) {
  return
}
