// RUN: stepwell-opt %s --elide-roundings | FileCheck %s

// CHECK-LABEL: func.func @between_ops
// CHECK-SAME: %[[X:.*]]: f32, %[[V:.*]]: vector<8xf32>
func.func @between_ops(%x: f32, %v: vector<8xf32>) -> (f32, vector<8xf32>) {
  // CHECK-NEXT: return %[[X]], %[[V]]
  %0 = arith.truncf %x : f32 to f16
  %1 = arith.extf %0 : f16 to f32
  %2 = arith.truncf %v : vector<8xf32> to vector<8xbf16>
  %3 = arith.extf %2 : vector<8xbf16> to vector<8xf32>
  return %1, %3 : f32, vector<8xf32>
}

// The narrow value is stored as well.
// CHECK-LABEL: func.func @also_used_narrow
// CHECK-SAME: %[[X:.*]]: f32
func.func @also_used_narrow(%x: f32) -> (f32, f16) {
  // CHECK-NEXT: %[[N:.*]] = arith.truncf %[[X]]
  // CHECK-NEXT: return %[[X]], %[[N]]
  %0 = arith.truncf %x : f32 to f16
  %1 = arith.extf %0 : f16 to f32
  return %1, %0 : f32, f16
}

// CHECK-LABEL: func.func @other_widths
func.func @other_widths(%x: f64, %y: f16) -> (f64, f32, f64) {
  // CHECK-NEXT: arith.truncf
  // CHECK-NEXT: arith.extf
  // CHECK-NEXT: arith.extf
  // CHECK-NEXT: arith.truncf
  // CHECK-NEXT: arith.extf
  %0 = arith.truncf %x : f64 to f32
  %1 = arith.extf %0 : f32 to f64
  %2 = arith.extf %y : f16 to f32
  %3 = arith.truncf %x : f64 to f16
  %4 = arith.extf %3 : f16 to f64
  return %1, %2, %4 : f64, f32, f64
}

// A cast of the program's own.
// CHECK-LABEL: func.func @asked_for
// CHECK-SAME: %[[X:.*]]: f32
func.func @asked_for(%x: f32) -> f32 {
  // CHECK-NEXT: %[[N:.*]] = arith.truncf %[[X]] to_nearest_even
  // CHECK-NEXT: %[[W:.*]] = arith.extf %[[N]]
  // CHECK-NEXT: return %[[W]]
  %0 = arith.truncf %x to_nearest_even : f32 to f16
  %1 = arith.extf %0 : f16 to f32
  return %1 : f32
}
