// RUN: %python %S/inputs/ptx.py %s cuda:sm_90a | FileCheck %s
// RUN: %python %S/inputs/ptx.py %s cuda:sm_80 | FileCheck %s

// A warp per row of 512: four accesses of 16 bytes for reading, no others, and two trees of five shuffles.
// CHECK-LABEL: .visible .entry softmax_0(
// CHECK: .maxntid 128
// CHECK-COUNT-4: ld.global.nc.v4.{{[bf]}}32
// CHECK-NOT: ld.global
// CHECK-COUNT-5: shfl.sync.bfly.b32
// CHECK: fma.rn.f32
// CHECK-COUNT-5: shfl.sync.bfly.b32
// CHECK-NOT: ld.global
// CHECK-COUNT-4: st.global.v4.{{[bf]}}32
// CHECK-NOT: bar.sync
// CHECK: ret;
// CHECK-LABEL: .visible .entry softmax_1(
// CHECK-NOT: .v4
// CHECK: ret;
module @k0 {
  func.func @softmax(%x: tensor<100000x512xf32>) -> tensor<100000x512xf32> {
    %low = arith.constant 0xFF800000 : f32
    %zero = arith.constant 0.0 : f32
    %rows = tensor.empty() : tensor<100000xf32>
    %tops = linalg.fill ins(%low : f32) outs(%rows : tensor<100000xf32>) -> tensor<100000xf32>
    %top = linalg.generic {
      indexing_maps = [affine_map<(i, j) -> (i, j)>, affine_map<(i, j) -> (i)>],
      iterator_types = ["parallel", "reduction"]}
      ins(%x : tensor<100000x512xf32>) outs(%tops : tensor<100000xf32>) {
    ^bb0(%a: f32, %o: f32):
      %r = arith.maximumf %o, %a : f32
      linalg.yield %r : f32
    } -> tensor<100000xf32>
    %all = tensor.empty() : tensor<100000x512xf32>
    %exp = linalg.generic {
      indexing_maps = [affine_map<(i, j) -> (i, j)>, affine_map<(i, j) -> (i)>, affine_map<(i, j) -> (i, j)>],
      iterator_types = ["parallel", "parallel"]}
      ins(%x, %top : tensor<100000x512xf32>, tensor<100000xf32>) outs(%all : tensor<100000x512xf32>) {
    ^bb0(%a: f32, %b: f32, %o: f32):
      %d = arith.subf %a, %b : f32
      %r = math.exp %d : f32
      linalg.yield %r : f32
    } -> tensor<100000x512xf32>
    %sums = linalg.fill ins(%zero : f32) outs(%rows : tensor<100000xf32>) -> tensor<100000xf32>
    %sum = linalg.generic {
      indexing_maps = [affine_map<(i, j) -> (i, j)>, affine_map<(i, j) -> (i)>],
      iterator_types = ["parallel", "reduction"]}
      ins(%exp : tensor<100000x512xf32>) outs(%sums : tensor<100000xf32>) {
    ^bb0(%a: f32, %o: f32):
      %r = arith.addf %o, %a : f32
      linalg.yield %r : f32
    } -> tensor<100000xf32>
    %result = linalg.generic {
      indexing_maps = [affine_map<(i, j) -> (i, j)>, affine_map<(i, j) -> (i)>, affine_map<(i, j) -> (i, j)>],
      iterator_types = ["parallel", "parallel"]}
      ins(%exp, %sum : tensor<100000x512xf32>, tensor<100000xf32>) outs(%all : tensor<100000x512xf32>) {
    ^bb0(%a: f32, %b: f32, %o: f32):
      %r = arith.divf %a, %b : f32
      linalg.yield %r : f32
    } -> tensor<100000x512xf32>
    return %result : tensor<100000x512xf32>
  }
}

// -----

// A block per row: one barrier between the warps' partial sums and their join.
// CHECK-LABEL: .visible .entry sums_0(
// CHECK: ld.global.nc.v4.{{[bf]}}32
// CHECK-COUNT-5: shfl.sync.bfly.b32
// CHECK: st.shared.{{[bf]}}32
// CHECK: bar.sync
// CHECK: ld.shared.{{[bf]}}32
// CHECK-NOT: bar.sync
// CHECK: st.global.{{[bf]}}32
// CHECK: ret;
module @k0 {
  func.func @sums(%x: tensor<512x8192xf32>) -> tensor<512xf32> {
    %zero = arith.constant 0.0 : f32
    %empty = tensor.empty() : tensor<512xf32>
    %start = linalg.fill ins(%zero : f32) outs(%empty : tensor<512xf32>) -> tensor<512xf32>
    %sum = linalg.generic {indexing_maps = [affine_map<(i, j) -> (i, j)>, affine_map<(i, j) -> (i)>], iterator_types = ["parallel", "reduction"]}
      ins(%x : tensor<512x8192xf32>) outs(%start : tensor<512xf32>) {
    ^bb0(%a: f32, %o: f32):
      %r = arith.addf %o, %a : f32
      linalg.yield %r : f32
    } -> tensor<512xf32>
    return %sum : tensor<512xf32>
  }
}
