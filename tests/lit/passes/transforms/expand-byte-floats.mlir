// RUN: stepwell-opt %s --expand-byte-floats | FileCheck %s

// The upper byte of a float16.
// CHECK-LABEL: func.func @widen_e5m2
func.func @widen_e5m2(%x: vector<8xf8E5M2>) -> vector<8xf32> {
  // CHECK: %[[BITS:.*]] = arith.bitcast %{{.*}} : vector<8xf8E5M2> to vector<8xi8>
  // CHECK: %[[WIDE:.*]] = arith.extui %[[BITS]] : vector<8xi8> to vector<8xi16>
  // CHECK: %[[HALF:.*]] = arith.shli %[[WIDE]]
  // CHECK: arith.bitcast %[[HALF]] : vector<8xi16> to vector<8xf16>
  // CHECK: arith.extf %{{.*}} : vector<8xf16> to vector<8xf32>
  %0 = arith.extf %x : vector<8xf8E5M2> to vector<8xf32>
  return %0 : vector<8xf32>
}

// A float16 divided by 256, but for NaN.
// CHECK-LABEL: func.func @widen_e4m3
func.func @widen_e4m3(%x: f8E4M3FN) -> f64 {
  // CHECK: arith.extf %{{.*}} : f16 to f32
  // CHECK: %[[VALUE:.*]] = arith.mulf
  // CHECK: %[[WIDE:.*]] = arith.select %{{.*}}, %{{.*}}, %[[VALUE]] : f32
  // CHECK: arith.extf %[[WIDE]] : f32 to f64
  %0 = arith.extf %x : f8E4M3FN to f64
  return %0 : f64
}

// By way of float32.
// CHECK-LABEL: func.func @narrow
func.func @narrow(%x: f64, %n: i64) -> (f8E4M3FN, f8E5M2) {
  // CHECK: %[[SINGLE:.*]] = arith.truncf %{{.*}} : f64 to f32
  // CHECK: arith.bitcast %[[SINGLE]] : f32 to i32
  // CHECK: arith.bitcast %{{.*}} : i8 to f8E4M3FN
  %0 = arith.truncf %x : f64 to f8E4M3FN
  // CHECK: arith.sitofp %{{.*}} : i64 to f32
  // CHECK: arith.bitcast %{{.*}} : i8 to f8E5M2
  %1 = arith.sitofp %n : i64 to f8E5M2
  return %0, %1 : f8E4M3FN, f8E5M2
}

// CHECK-LABEL: func.func @integers
func.func @integers(%x: f8E5M2) -> (i32, i8) {
  // CHECK: arith.fptosi %{{.*}} : f32 to i32
  %0 = arith.fptosi %x : f8E5M2 to i32
  // CHECK: arith.fptoui %{{.*}} : f32 to i8
  %1 = arith.fptoui %x : f8E5M2 to i8
  return %0, %1 : i32, i8
}

// 1.5 is 0x3C in f8E4M3FN and 0x3E in f8E5M2.
// CHECK-LABEL: func.func @constants
func.func @constants() -> (f8E4M3FN, vector<4xf8E5M2>) {
  // CHECK: %[[SCALAR:.*]] = arith.constant 60 : i8
  // CHECK: arith.bitcast %[[SCALAR]] : i8 to f8E4M3FN
  %0 = arith.constant 1.5 : f8E4M3FN
  // CHECK: %[[SPLAT:.*]] = arith.constant dense<62> : vector<4xi8>
  // CHECK: arith.bitcast %[[SPLAT]] : vector<4xi8> to vector<4xf8E5M2>
  %1 = arith.constant dense<1.5> : vector<4xf8E5M2>
  return %0, %1 : f8E4M3FN, vector<4xf8E5M2>
}

// CHECK-LABEL: func.func @left_alone
func.func @left_alone(%h: f16, %x: f32, %b: f8E5M2, %c: memref<4xf8E5M2>, %i: index) -> (f32, bf16) {
  // CHECK-NEXT: arith.extf %{{.*}} : f16 to f32
  // CHECK-NEXT: arith.truncf %{{.*}} : f32 to bf16
  // CHECK-NEXT: memref.store %{{.*}} : memref<4xf8E5M2>
  // CHECK-NEXT: return
  %0 = arith.extf %h : f16 to f32
  %1 = arith.truncf %x : f32 to bf16
  memref.store %b, %c[%i] : memref<4xf8E5M2>
  return %0, %1 : f32, bf16
}
