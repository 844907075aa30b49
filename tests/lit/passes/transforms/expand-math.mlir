// RUN: stepwell-opt %s --expand-math | FileCheck %s

// CHECK-LABEL: func.func @scalar_exp
func.func @scalar_exp(%x: f32) -> f32 {
  // CHECK: math.fma
  // CHECK: arith.shli
  // CHECK-NOT: math.exp
  %0 = math.exp %x : f32
  return %0 : f32
}

// CHECK-LABEL: func.func @vector_erf
func.func @vector_erf(%x: vector<2x8xf64>) -> vector<2x8xf64> {
  // CHECK: math.fma %{{.*}} : vector<2x8xf64>
  // CHECK-NOT: math.erf
  %0 = math.erf %x : vector<2x8xf64>
  return %0 : vector<2x8xf64>
}

// Far arguments take a branch that is only entered where there are any.
// CHECK-LABEL: func.func @sine_of_vector
func.func @sine_of_vector(%x: vector<8xf32>) -> vector<8xf32> {
  // CHECK: %[[ANY:.*]] = vector.reduction <or>, %{{.*}} : vector<8xi1> into i1
  // CHECK: scf.if %[[ANY]]
  %0 = math.sin %x : vector<8xf32>
  return %0 : vector<8xf32>
}

// CHECK-LABEL: func.func @native
func.func @native(%x: f32, %h: f16) -> (f32, f32, f32, f16) {
  // CHECK-NEXT: math.sqrt
  // CHECK-NEXT: math.floor
  // CHECK-NEXT: math.fma
  // CHECK-NEXT: math.absf %{{.*}} : f16
  %0 = math.sqrt %x : f32
  %1 = math.floor %0 : f32
  %2 = math.fma %0, %1, %x : f32
  %3 = math.absf %h : f16
  return %0, %1, %2, %3 : f32, f32, f32, f16
}
