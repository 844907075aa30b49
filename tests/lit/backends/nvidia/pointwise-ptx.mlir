// RUN: %python %S/inputs/ptx.py %s cuda:sm_90a | FileCheck %s
// RUN: %python %S/inputs/ptx.py %s cuda:sm_80 | FileCheck %s

// Pointers at multiples of 16 bytes: one predicate per thread, then accesses of 16 bytes through the read-only path; the
// elements behind the last whole vector one by one.
// CHECK-LABEL: .visible .entry tail_0(
// CHECK: .maxntid 64
// CHECK: setp.lt.u{{32|64}} %[[INSIDE:p[0-9]+]], %{{r|rd}}{{[0-9]+}}, 999;
// CHECK: @%[[INSIDE]] bra
// CHECK: ld.global.nc.v4.{{[bf]}}32
// CHECK: ld.global.nc.v4.{{[bf]}}32
// CHECK: add.{{(rn.)?}}f32
// CHECK: st.global.v4.{{[bf]}}32
// CHECK: ld.global.nc.{{[bf]}}32
// CHECK: st.global.{{[bf]}}32
// Pointers anywhere: elements only.
// CHECK-LABEL: .visible .entry tail_1(
// CHECK-NOT: .v4
// CHECK: ld.global.nc.{{[bf]}}32
// CHECK-NOT: .v4
module @k0 {
  func.func @tail(%x: tensor<1002xf32>, %y: tensor<1002xf32>) -> tensor<1002xf32> {
    %empty = tensor.empty() : tensor<1002xf32>
    %sum = linalg.generic {
      indexing_maps = [affine_map<(i) -> (i)>, affine_map<(i) -> (i)>, affine_map<(i) -> (i)>],
      iterator_types = ["parallel"]}
      ins(%x, %y : tensor<1002xf32>, tensor<1002xf32>) outs(%empty : tensor<1002xf32>) {
    ^bb0(%a: f32, %b: f32, %o: f32):
      %r = arith.addf %a, %b : f32
      linalg.yield %r : f32
    } -> tensor<1002xf32>
    return %sum : tensor<1002xf32>
  }
}

// -----

// Eight halves are 16 bytes too; the bias of a row is one access for all of a thread's rows.
// CHECK-LABEL: .visible .entry halves_0(
// CHECK-COUNT-5: ld.global.nc.v4.b32
// CHECK-NOT: ld.global
// CHECK-COUNT-4: st.global.v4.b32
// CHECK-LABEL: .visible .entry halves_1(
module @k0 {
  func.func @halves(%x: tensor<16384x1024xf16>, %b: tensor<1024xf16>) -> tensor<16384x1024xf16> {
    %empty = tensor.empty() : tensor<16384x1024xf16>
    %sum = linalg.generic {
      indexing_maps = [affine_map<(i, j) -> (i, j)>, affine_map<(i, j) -> (j)>, affine_map<(i, j) -> (i, j)>],
      iterator_types = ["parallel", "parallel"]}
      ins(%x, %b : tensor<16384x1024xf16>, tensor<1024xf16>) outs(%empty : tensor<16384x1024xf16>) {
    ^bb0(%a: f16, %c: f16, %o: f16):
      %r = arith.addf %a, %c : f16
      linalg.yield %r : f16
    } -> tensor<16384x1024xf16>
    return %sum : tensor<16384x1024xf16>
  }
}

// -----

// Through shared memory: read, wait, write.
// CHECK-LABEL: .visible .entry turned_0(
// CHECK-COUNT-4: ld.global.nc.{{[bf]}}32
// CHECK-COUNT-4: st.shared.{{[bf]}}32
// CHECK: bar{{(rier)?}}.sync
// CHECK-COUNT-4: ld.shared.{{[bf]}}32
// CHECK-COUNT-4: st.global.{{[bf]}}32
module @k0 {
  func.func @turned(%x: tensor<64x128xf32>) -> tensor<128x64xf32> {
    %empty = tensor.empty() : tensor<128x64xf32>
    %turned = linalg.generic {
      indexing_maps = [affine_map<(i, j) -> (j, i)>, affine_map<(i, j) -> (i, j)>],
      iterator_types = ["parallel", "parallel"]}
      ins(%x : tensor<64x128xf32>) outs(%empty : tensor<128x64xf32>) {
    ^bb0(%a: f32, %o: f32):
      %r = math.absf %a : f32
      linalg.yield %r : f32
    } -> tensor<128x64xf32>
    return %turned : tensor<128x64xf32>
  }
}
