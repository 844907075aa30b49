// RUN: %python %S/inputs/ptx.py %s cuda:sm_80 | FileCheck %s

// Tensor cores: copies of 16 bytes run ahead by all stages but one; 32 steps of depth are two rounds of fragments, and
// the left operand lies along the depth, the right one along its columns, which is transposed on the way to registers.
// CHECK-LABEL: .visible .entry halves_0(
// CHECK: cp.async.cg.shared.global [{{.*}}], [{{.*}}], 16;
// CHECK-COUNT-3: cp.async.commit_group;
// CHECK: $L__BB0_{{[0-9]+}}:
// CHECK: ldmatrix.sync.aligned.m8n8.x4.shared.b16
// CHECK: ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16
// CHECK-COUNT-32: mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32
// CHECK: ldmatrix.sync.aligned.m8n8.x4.shared.b16
// CHECK: ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16
// CHECK-COUNT-32: mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32
// CHECK-NOT: mma.sync
// CHECK: cp.async.wait_group 2;
// CHECK: bar.sync
// CHECK: max{{.*}}.f32
// CHECK: cvt.rn.f16{{.*}}.f32
// CHECK: st.global.b32
// Pointers that lie anywhere: elements come through registers, and go to shared memory 16 bytes at a time.
// CHECK-LABEL: .visible .entry halves_1(
// CHECK-NOT: cp.async
// CHECK: ld.global.nc.b16
// CHECK: st.shared.v4.b32
// CHECK: mma.sync
module @k0 {
  func.func @halves(%a: tensor<4096x2048xf16>, %b: tensor<2048x4096xf16>) -> tensor<4096x4096xf16> {
    %zero = arith.constant 0.0 : f32
    %empty = tensor.empty() : tensor<4096x4096xf32>
    %zeros = linalg.fill ins(%zero : f32) outs(%empty : tensor<4096x4096xf32>) -> tensor<4096x4096xf32>
    %sums = linalg.generic {
        indexing_maps = [affine_map<(m, n, k) -> (m, k)>, affine_map<(m, n, k) -> (k, n)>, affine_map<(m, n, k) -> (m, n)>],
        iterator_types = ["parallel", "parallel", "reduction"]}
        ins(%a, %b : tensor<4096x2048xf16>, tensor<2048x4096xf16>) outs(%zeros : tensor<4096x4096xf32>) {
    ^bb0(%x: f16, %y: f16, %s: f32):
      %xw = arith.extf %x : f16 to f32
      %yw = arith.extf %y : f16 to f32
      %p = arith.mulf %xw, %yw : f32
      %q = arith.addf %s, %p : f32
      linalg.yield %q : f32
    } -> tensor<4096x4096xf32>
    %last = tensor.empty() : tensor<4096x4096xf16>
    %done = linalg.generic {
        indexing_maps = [affine_map<(m, n) -> (m, n)>, affine_map<(m, n) -> (m, n)>],
        iterator_types = ["parallel", "parallel"]}
        ins(%sums : tensor<4096x4096xf32>) outs(%last : tensor<4096x4096xf16>) {
    ^bb0(%s: f32, %o: f16):
      %r = arith.maximumf %s, %zero : f32
      %t = arith.truncf %r : f32 to f16
      linalg.yield %t : f16
    } -> tensor<4096x4096xf16>
    return %done : tensor<4096x4096xf16>
  }
}

// -----

// Torch's default precision: one fused multiply-add for each product, 64 sums of a thread, 8 steps of depth; rows of 16
// bytes from shared memory, and the next tile, loaded before the products, is stored behind them.
// CHECK-LABEL: .visible .entry floats_0(
// CHECK-COUNT-2: ld.global.nc.v4.b32
// CHECK: bar.sync
// CHECK: ld.shared.v4.b32
// CHECK-COUNT-512: fma.rn.f32
// CHECK-NOT: fma.rn.f32
// CHECK-COUNT-4: st.shared.b32
// CHECK: st.shared.v4.b32
// CHECK: bar.sync
// CHECK-COUNT-16: st.global.v4.b32
// CHECK-LABEL: .visible .entry floats_1(
module @k1 {
  func.func @floats(%a: tensor<4096x2048xf32>, %b: tensor<2048x4096xf32>) -> tensor<4096x4096xf32> {
    %zero = arith.constant 0.0 : f32
    %empty = tensor.empty() : tensor<4096x4096xf32>
    %zeros = linalg.fill ins(%zero : f32) outs(%empty : tensor<4096x4096xf32>) -> tensor<4096x4096xf32>
    %sums = linalg.generic {
        indexing_maps = [affine_map<(m, n, k) -> (m, k)>, affine_map<(m, n, k) -> (k, n)>, affine_map<(m, n, k) -> (m, n)>],
        iterator_types = ["parallel", "parallel", "reduction"]}
        ins(%a, %b : tensor<4096x2048xf32>, tensor<2048x4096xf32>) outs(%zeros : tensor<4096x4096xf32>) {
    ^bb0(%x: f32, %y: f32, %s: f32):
      %p = arith.mulf %x, %y : f32
      %q = arith.addf %s, %p : f32
      linalg.yield %q : f32
    } -> tensor<4096x4096xf32>
    return %sums : tensor<4096x4096xf32>
  }
}

// -----

// One row: lanes of a warp walk the depth, 16 bytes each, and exchange their sums.
// CHECK-LABEL: .visible .entry vector_0(
// CHECK: ld.global.nc.v4.b32
// CHECK: fma.rn.f32
// CHECK-COUNT-5: shfl.sync.bfly.b32
// CHECK: st.global
module @k2 {
  func.func @vector(%a: tensor<1x2048xf32>, %b: tensor<4096x2048xf32>) -> tensor<1x4096xf32> {
    %zero = arith.constant 0.0 : f32
    %empty = tensor.empty() : tensor<1x4096xf32>
    %zeros = linalg.fill ins(%zero : f32) outs(%empty : tensor<1x4096xf32>) -> tensor<1x4096xf32>
    %sums = linalg.generic {
        indexing_maps = [affine_map<(m, n, k) -> (m, k)>, affine_map<(m, n, k) -> (n, k)>, affine_map<(m, n, k) -> (m, n)>],
        iterator_types = ["parallel", "parallel", "reduction"]}
        ins(%a, %b : tensor<1x2048xf32>, tensor<4096x2048xf32>) outs(%zeros : tensor<1x4096xf32>) {
    ^bb0(%x: f32, %y: f32, %s: f32):
      %p = arith.mulf %x, %y : f32
      %q = arith.addf %s, %p : f32
      linalg.yield %q : f32
    } -> tensor<1x4096xf32>
    return %sums : tensor<1x4096xf32>
  }
}
