// RUN: stepwell-opt %s --allow-contraction | FileCheck %s

// CHECK-LABEL: func.func @flags
func.func @flags(%a: f32, %b: vector<8xf32>) -> (f32, vector<8xf32>, f32, f32) {
  // CHECK: arith.mulf %{{.*}} fastmath<contract> : f32
  %0 = arith.mulf %a, %a : f32
  // CHECK: arith.addf %{{.*}} fastmath<contract> : vector<8xf32>
  %1 = arith.addf %b, %b : vector<8xf32>
  // Flags that are there stay.
  // CHECK: arith.subf %{{.*}} fastmath<nnan> : f32
  %2 = arith.subf %a, %0 fastmath<nnan> : f32
  // Divisions round on their own.
  // CHECK: arith.divf %{{[^,]*}}, %{{[^ ]*}} : f32
  %3 = arith.divf %a, %0 : f32
  return %0, %1, %2, %3 : f32, vector<8xf32>, f32, f32
}

// A product that is rounded to a narrower type keeps that rounding: LLVM would make it a narrow product that fuses.
// CHECK-LABEL: func.func @rounded_product
func.func @rounded_product(%x: f16, %y: f16) -> f16 {
  %a = arith.extf %x : f16 to f32
  %b = arith.extf %y : f16 to f32
  // CHECK: arith.mulf %{{[^,]*}}, %{{[^ ]*}} : f32
  %product = arith.mulf %a, %b : f32
  %narrow = arith.truncf %product : f32 to f16
  %wide = arith.extf %narrow : f16 to f32
  // CHECK: arith.addf %{{.*}} fastmath<contract> : f32
  %sum = arith.addf %wide, %a : f32
  %result = arith.truncf %sum : f32 to f16
  return %result : f16
}

// CHECK-LABEL: func.func @product_also_used_as_it_is
func.func @product_also_used_as_it_is(%a: f32, %b: f32) -> (f32, f16) {
  // CHECK: arith.mulf %{{.*}} fastmath<contract> : f32
  %product = arith.mulf %a, %b : f32
  %narrow = arith.truncf %product : f32 to f16
  %sum = arith.addf %product, %a : f32
  return %sum, %narrow : f32, f16
}
