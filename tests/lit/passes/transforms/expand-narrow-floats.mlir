// RUN: stepwell-opt %s --expand-narrow-floats | FileCheck %s
// RUN: stepwell-opt %s --pass-pipeline="builtin.module(expand-narrow-floats{bfloat16=true})" | FileCheck %s --check-prefix=GPU

// bfloat16 is the upper half of float32.
// CHECK-LABEL: func.func @widen
func.func @widen(%x: vector<8xbf16>) -> vector<8xf32> {
  // CHECK: %[[BITS:.*]] = arith.bitcast %{{.*}} : vector<8xbf16> to vector<8xi16>
  // CHECK: %[[WIDE:.*]] = arith.extui %[[BITS]]
  // CHECK: arith.shli %[[WIDE]]
  // CHECK: arith.bitcast %{{.*}} : vector<8xi32> to vector<8xf32>
  %0 = arith.extf %x : vector<8xbf16> to vector<8xf32>
  return %0 : vector<8xf32>
}

// CHECK-LABEL: func.func @narrow
func.func @narrow(%x: f32) -> bf16 {
  // CHECK-NOT: arith.truncf
  // CHECK: arith.cmpf une
  // CHECK: arith.trunci %{{.*}} : i32 to i16
  // CHECK-NEXT: arith.bitcast %{{.*}} : i16 to bf16
  %0 = arith.truncf %x : f32 to bf16
  return %0 : bf16
}

// From float64 by way of float32, rounded to odd.
// CHECK-LABEL: func.func @narrow_twice
func.func @narrow_twice(%x: f64) -> f16 {
  // CHECK: arith.truncf %{{.*}} : f64 to f32
  // CHECK: arith.ori
  // CHECK: arith.truncf %{{.*}} : f32 to f16
  %0 = arith.truncf %x : f64 to f16
  return %0 : f16
}

// CHECK-LABEL: func.func @integers
func.func @integers(%x: i64, %h: bf16) -> (f16, i32) {
  // CHECK: %[[F:.*]] = arith.sitofp %{{.*}} : i64 to f32
  // CHECK: arith.truncf %[[F]] : f32 to f16
  %0 = arith.sitofp %x : i64 to f16
  // CHECK: arith.fptosi %{{.*}} : f32 to i32
  %1 = arith.fptosi %h : bf16 to i32
  return %0, %1 : f16, i32
}

// CHECK-LABEL: func.func @native
func.func @native(%h: f16, %x: f32, %y: f64) -> (f32, f16, f32) {
  // CHECK-NEXT: arith.extf %{{.*}} : f16 to f32
  // CHECK-NEXT: arith.truncf %{{.*}} : f32 to f16
  // CHECK-NEXT: arith.truncf %{{.*}} : f64 to f32
  // CHECK-NEXT: return
  %0 = arith.extf %h : f16 to f32
  %1 = arith.truncf %x : f32 to f16
  %2 = arith.truncf %y : f64 to f32
  return %0, %1, %2 : f32, f16, f32
}

// A GPU converts between bfloat16 and float32; everything else still goes by way of float32.
// GPU-LABEL: func.func @widen
// GPU-NEXT: arith.extf %{{.*}} : vector<8xbf16> to vector<8xf32>
// GPU-LABEL: func.func @narrow
// GPU-NEXT: arith.truncf %{{.*}} : f32 to bf16
// GPU-LABEL: func.func @narrow_twice
// GPU: arith.truncf %{{.*}} : f64 to f32
// GPU: arith.truncf %{{.*}} : f32 to f16
