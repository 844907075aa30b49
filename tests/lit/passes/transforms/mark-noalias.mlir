// RUN: stepwell-opt %s --mark-noalias | FileCheck %s

// CHECK: func.func @kernel(%{{.*}}: memref<f32> {llvm.noalias, some.note = 1 : i64}, %{{.*}}: i64, %{{.*}}: memref<i8> {llvm.noalias}, %{{.*}}: memref<4xf32>)
func.func @kernel(%p: memref<f32> {some.note = 1 : i64}, %n: i64, %w: memref<i8>, %ranked: memref<4xf32>) {
  return
}

// Declarations stay as they are.
// CHECK: func.func private @outside(memref<f32>)
func.func private @outside(memref<f32>)

// CHECK: func.func @no_pointer(%{{.*}}: i64)
func.func @no_pointer(%n: i64) {
  return
}
