// RUN: stepwell-opt %s --expand-math="share-above=1000" | FileCheck %s
// RUN: stepwell-opt %s --expand-math | FileCheck %s --check-prefix=INLINE

// Five powers of floats have over a thousand ops, two exponentials have not; another type is another function.

// The name is taken.
func.func private @math_powf(f32) -> f32

// CHECK: func.func private @[[POW:math_powf_[0-9]+]](%{{.*}}: vector<8xf32>, %{{.*}}: vector<8xf32>) -> vector<8xf32>
// CHECK-SAME: llvm.linkage = #llvm.linkage<internal>
// CHECK-SAME: passthrough = ["noinline"]
// CHECK-NOT: math.powf

// CHECK-LABEL: func.func @powers
// INLINE-NOT: call
// INLINE-NOT: linkage
func.func @powers(%x: vector<8xf32>, %y: vector<8xf32>, %z: f32) -> (vector<8xf32>, f32) {
  // CHECK: %[[A:.*]] = call @[[POW]](%{{.*}}, %{{.*}})
  // CHECK: %[[B:.*]] = call @[[POW]](%[[A]], %{{.*}})
  // CHECK: call @[[POW]](%[[A]], %[[B]])
  // CHECK-COUNT-2: call @[[POW]]
  %0 = math.powf %x, %y : vector<8xf32>
  %1 = math.powf %0, %x : vector<8xf32>
  %2 = math.powf %0, %1 : vector<8xf32>
  %3 = math.powf %2, %1 : vector<8xf32>
  %4 = math.powf %3, %1 : vector<8xf32>
  // CHECK-NOT: call
  %5 = math.exp %z : f32
  %6 = math.exp %5 : f32
  // CHECK: return
  return %4, %6 : vector<8xf32>, f32
}
