// RUN: stepwell-opt %s --verify-linalg --split-input-file --verify-diagnostics --allow-unregistered-dialect

func.func @left_over(%x: tensor<4xf32>) -> tensor<4xf32> {
  // expected-error@below {{'graph.relu' op is not allowed at stage 'linalg': no lowering replaced it; convert-graph-to-linalg goes first}}
  %0 = "graph.relu"(%x) : (tensor<4xf32>) -> tensor<4xf32>
  return %0 : tensor<4xf32>
}

// -----

func.func @named(%x: tensor<4xf32>) -> tensor<4xf32> {
  // expected-error@below {{'linalg.exp' op is not allowed at stage 'linalg': named linalg ops are spelled as linalg.generic; linalg-generalize-named-ops does that}}
  %0 = linalg.exp ins(%x : tensor<4xf32>) outs(%x : tensor<4xf32>) -> tensor<4xf32>
  return %0 : tensor<4xf32>
}

// -----

// expected-error@below {{'func.func' op has type tensor<?xf32, ["s0"]>: types carry no names of sizes at stage 'linalg'}}
func.func @encoded(%x: tensor<?xf32, ["s0"]>) {
  return
}

// -----

func.func @memory(%n: index) {
  // expected-error@below {{'memref.alloc' op is not allowed at stage 'linalg': buffers come with the schedules, at stage 'scheduled'}}
  %0 = memref.alloc() : memref<4xf32>
  // expected-error@below {{'affine.apply' op is not allowed at stage 'linalg': index arithmetic is spelled with arith; lower-affine does that}}
  %1 = affine.apply affine_map<(d0) -> (d0 + 1)>(%n)
  // expected-error@below {{'test.unheard_of' op is not allowed at stage 'linalg': it is not in the stage's table}}
  "test.unheard_of"() : () -> ()
  return
}
