// A program is one public function.
// RUN: not stepwell-opt %s --adopt-linalg 2>&1 | FileCheck %s

// CHECK: the module must hold one public function, which is the program; it holds @first, @second
module {
  func.func @first(%x: tensor<2xf32>) -> tensor<2xf32> {
    return %x : tensor<2xf32>
  }
  func.func @second(%x: tensor<2xf32>) -> tensor<2xf32> {
    return %x : tensor<2xf32>
  }
}
