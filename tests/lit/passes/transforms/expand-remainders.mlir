// RUN: stepwell-opt %s --expand-remainders --split-input-file --verify-diagnostics | FileCheck %s

// Long division, 40 bits at a time; the loop goes on as long as any lane has bits left.
// CHECK-LABEL: func.func @f32
func.func @f32(%x: f32, %y: f32) -> f32 {
  // CHECK: %[[LOOP:.*]]:2 = scf.while (%[[REST:.*]] = %{{.*}}, %[[LEFT:.*]] = %{{.*}}) : (i64, i64)
  // CHECK: arith.constant 40 : i64
  // CHECK: %[[SHIFTED:.*]] = arith.shli %[[REST]]
  // CHECK: arith.remui %[[SHIFTED]]
  // CHECK: scf.condition
  // CHECK: arith.sitofp %[[LOOP]]#0 : i64 to f32
  // CHECK: math.copysign %{{.*}}, %{{.*}} : f32
  // CHECK: arith.constant 0x7FC00000 : f32
  // CHECK-NOT: arith.remf
  %0 = arith.remf %x, %y : f32
  return %0 : f32
}

// -----

// CHECK-LABEL: func.func @lanes
func.func @lanes(%x: vector<2xf64>, %y: vector<2xf64>) -> vector<2xf64> {
  // CHECK: scf.while
  // CHECK: arith.constant dense<11> : vector<2xi64>
  // CHECK: vector.reduction <or>
  // CHECK: arith.sitofp %{{.*}} : vector<2xi64> to vector<2xf64>
  %0 = arith.remf %x, %y : vector<2xf64>
  return %0 : vector<2xf64>
}

// -----

// CHECK-LABEL: func.func @integers_stay
func.func @integers_stay(%x: i32, %y: i32) -> i32 {
  // CHECK-NEXT: arith.remsi
  %0 = arith.remsi %x, %y : i32
  return %0 : i32
}

// -----

func.func @narrow(%x: f16, %y: f16) -> f16 {
  // expected-error @+1 {{'arith.remf' op expects f32 or f64; kernels widen before they compute}}
  %0 = arith.remf %x, %y : f16
  return %0 : f16
}
