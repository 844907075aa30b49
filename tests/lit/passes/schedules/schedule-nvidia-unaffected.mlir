// RUN: stepwell-opt %s --schedule-nvidia=target=cuda:sm_90a | FileCheck %s
// RUN: stepwell-opt %s --schedule-nvidia=target=cuda:sm_90a --schedule-nvidia=target=cuda:sm_90a | FileCheck %s

// A function on buffers is scheduled already, or none of ours.
// CHECK-LABEL: func.func @on_buffers(%{{.*}}: memref<f32>, %{{.*}}: memref<i8>, %{{.*}}: memref<i32>) {
// CHECK-NEXT: return
func.func @on_buffers(%x: memref<f32>, %workspace: memref<i8>, %status: memref<i32>) {
  return
}
