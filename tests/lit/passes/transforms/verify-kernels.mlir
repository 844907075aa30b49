// RUN: stepwell-opt %s --verify-kernels --split-input-file | FileCheck %s

// A program: its own function is the host's, and its nested modules are kernels.
// CHECK: module attributes {stepwell.stage = "kernels"}
// CHECK-LABEL: func.func @main
func.func @main() {
  return
}
// CHECK-LABEL: module @k0
module @k0 {
  // CHECK: func.func @k0
  func.func @k0(%x: tensor<?xf32> {stepwell.sizes = ["s0"]}, %n: index {stepwell.symbol = "s0"}) -> tensor<?xf32>
      attributes {stepwell.result_sizes = [["s0"]]} {
    %e = tensor.empty(%n) : tensor<?xf32>
    return %e : tensor<?xf32>
  }
}

// -----

// One kernel alone, as a worker gets it; private functions are its own business.
// CHECK: module @k1 attributes {stepwell.stage = "kernels"}
module @k1 {
  func.func @k1(%x: tensor<4xf32>) -> tensor<4xf32> {
    return %x : tensor<4xf32>
  }
  func.func private @helper(%x: tensor<?xf32>) -> tensor<?xf32> {
    return %x : tensor<?xf32>
  }
}
