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
