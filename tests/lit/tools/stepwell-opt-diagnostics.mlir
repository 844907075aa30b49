// RUN: stepwell-opt %s --split-input-file --verify-diagnostics --allow-unregistered-dialect -one-shot-bufferize
// RUN: not stepwell-opt %s --split-input-file --allow-unregistered-dialect -one-shot-bufferize 2>&1 | FileCheck %s

// CHECK: stepwell-opt-diagnostics.mlir:[[#@LINE + 4]]:8: error: op was not bufferized
// CHECK-NEXT: %0 = "foo.bar"(%a)
// CHECK-NEXT: {{^}}       ^{{$}}
func.func @f(%a: tensor<4xf32>) -> tensor<4xf32> {
  %0 = "foo.bar"(%a) : (tensor<4xf32>) -> tensor<4xf32> // expected-error {{not bufferized}}
  return %0 : tensor<4xf32>
}

// -----

// expected-note@below {{prior use here}}
func.func @g(%a: i32) -> i32 {
  // expected-error-re@+1 {{expects different type than prior uses: 'f{{[0-9]+}}' vs 'i32'}}
  return %a : f32
}
