// RUN: stepwell-opt %s "--pass-pipeline=builtin.module(schedule-nvidia{target=cuda:sm_90a},verify-scheduled)" | FileCheck %s
// RUN: stepwell-opt %s "--pass-pipeline=builtin.module(schedule-nvidia{target=cuda:sm_80},verify-scheduled,cuda-lowering{target=cuda:sm_80},verify-target)" | FileCheck %s --check-prefix=TARGET

// A causal attention: one launch for aligned tensors, which copies asynchronously, and one for others, which cannot.

// CHECK: stepwell.schedule = "attention"
// CHECK: scf.forall {{.*}} in (4)
// CHECK-COUNT-3: memref.alloca() {{.*}}#gpu.address_space<workgroup>>
// CHECK: nvvm.cp.async.shared.global
// CHECK: nvvm.cp.async.commit.group
// CHECK: nvvm.cp.async.wait.group 0
// CHECK: gpu.barrier
// CHECK: nvvm.ldmatrix
// CHECK: scf.for
// CHECK: nvvm.mma.sync
// CHECK: gpu.shuffle
// CHECK: math.exp
// CHECK: nvvm.mma.sync
// CHECK: stepwell.when = "aligned"
// CHECK: stepwell.when = "unaligned"

// TARGET: llvm.func @[[NAME:.*]]_0
// TARGET: nvvm.cp.async.shared.global
// TARGET: llvm.func @[[NAME]]_1
// TARGET-NOT: nvvm.cp.async.shared.global

module attributes {stepwell.stage = "kernels"} {
  func.func @k0(%arg0: tensor<1x2x80x32xf16>, %arg1: tensor<1x2x80x32xf16>, %arg2: tensor<1x2x80x32xf16>) -> tensor<1x2x80x32xf16> {
    %cst = arith.constant 0.000000e+00 : f32
    %0 = tensor.empty() : tensor<1x2x80x80xf32>
    %1 = linalg.fill ins(%cst : f32) outs(%0 : tensor<1x2x80x80xf32>) -> tensor<1x2x80x80xf32>
    %2 = linalg.generic {indexing_maps = [affine_map<(d0, d1, d2, d3, d4) -> (d0, d1, d2, d4)>, affine_map<(d0, d1, d2, d3, d4) -> (d0, d1, d3, d4)>, affine_map<(d0, d1, d2, d3, d4) -> (d0, d1, d2, d3)>], iterator_types = ["parallel", "parallel", "parallel", "parallel", "reduction"]} ins(%arg0, %arg1 : tensor<1x2x80x32xf16>, tensor<1x2x80x32xf16>) outs(%1 : tensor<1x2x80x80xf32>) {
    ^bb0(%in: f16, %in_1: f16, %out: f32):
      %18 = arith.extf %in : f16 to f32
      %19 = arith.extf %in_1 : f16 to f32
      %20 = arith.mulf %18, %19 : f32
      %21 = arith.addf %out, %20 : f32
      linalg.yield %21 : f32
    } -> tensor<1x2x80x80xf32>
    %3 = linalg.generic {indexing_maps = [affine_map<(d0, d1, d2, d3) -> (d0, d1, d2, d3)>, affine_map<(d0, d1, d2, d3) -> (d0, d1, d2, d3)>], iterator_types = ["parallel", "parallel", "parallel", "parallel"]} ins(%2 : tensor<1x2x80x80xf32>) outs(%0 : tensor<1x2x80x80xf32>) {
    ^bb0(%in: f32, %out: f32):
      %cst_1 = arith.constant 0.176776692 : f32
      %18 = arith.mulf %in, %cst_1 : f32
      %cst_2 = arith.constant 0xFF800000 : f32
      %19 = linalg.index 2 : index
      %20 = linalg.index 3 : index
      %21 = arith.cmpi sle, %20, %19 : index
      %22 = arith.select %21, %18, %cst_2 : f32
      linalg.yield %22 : f32
    } -> tensor<1x2x80x80xf32>
    %cst_0 = arith.constant 0xFF800000 : f32
    %4 = tensor.empty() : tensor<1x2x80xf32>
    %5 = linalg.fill ins(%cst_0 : f32) outs(%4 : tensor<1x2x80xf32>) -> tensor<1x2x80xf32>
    %6 = linalg.generic {indexing_maps = [affine_map<(d0, d1, d2, d3) -> (d0, d1, d2, d3)>, affine_map<(d0, d1, d2, d3) -> (d0, d1, d2)>], iterator_types = ["parallel", "parallel", "parallel", "reduction"]} ins(%3 : tensor<1x2x80x80xf32>) outs(%5 : tensor<1x2x80xf32>) {
    ^bb0(%in: f32, %out: f32):
      %18 = arith.maximumf %out, %in : f32
      linalg.yield %18 : f32
    } -> tensor<1x2x80xf32>
    %7 = linalg.generic {indexing_maps = [affine_map<(d0, d1, d2, d3) -> (d0, d1, d2, d3)>, affine_map<(d0, d1, d2, d3) -> (d0, d1, d2)>, affine_map<(d0, d1, d2, d3) -> (d0, d1, d2, d3)>], iterator_types = ["parallel", "parallel", "parallel", "parallel"]} ins(%3, %6 : tensor<1x2x80x80xf32>, tensor<1x2x80xf32>) outs(%0 : tensor<1x2x80x80xf32>) {
    ^bb0(%in: f32, %in_1: f32, %out: f32):
      %18 = arith.cmpf oeq, %in_1, %cst_0 : f32
      %19 = arith.select %18, %cst, %in_1 : f32
      %20 = arith.subf %in, %19 : f32
      %21 = math.exp %20 : f32
      linalg.yield %21 : f32
    } -> tensor<1x2x80x80xf32>
    %8 = linalg.fill ins(%cst : f32) outs(%4 : tensor<1x2x80xf32>) -> tensor<1x2x80xf32>
    %9 = linalg.generic {indexing_maps = [affine_map<(d0, d1, d2, d3) -> (d0, d1, d2, d3)>, affine_map<(d0, d1, d2, d3) -> (d0, d1, d2)>], iterator_types = ["parallel", "parallel", "parallel", "reduction"]} ins(%7 : tensor<1x2x80x80xf32>) outs(%8 : tensor<1x2x80xf32>) {
    ^bb0(%in: f32, %out: f32):
      %18 = arith.addf %out, %in : f32
      linalg.yield %18 : f32
    } -> tensor<1x2x80xf32>
    %10 = linalg.generic {indexing_maps = [affine_map<(d0, d1, d2, d3) -> (d0, d1, d2, d3)>, affine_map<(d0, d1, d2, d3) -> (d0, d1, d2)>, affine_map<(d0, d1, d2, d3) -> (d0, d1, d2, d3)>], iterator_types = ["parallel", "parallel", "parallel", "parallel"]} ins(%7, %9 : tensor<1x2x80x80xf32>, tensor<1x2x80xf32>) outs(%0 : tensor<1x2x80x80xf32>) {
    ^bb0(%in: f32, %in_1: f32, %out: f32):
      %18 = arith.divf %in, %in_1 : f32
      %19 = arith.cmpf oeq, %in_1, %cst : f32
      %20 = arith.select %19, %cst, %18 : f32
      linalg.yield %20 : f32
    } -> tensor<1x2x80x80xf32>
    %11 = tensor.empty() : tensor<1x2x80x80xf16>
    %12 = linalg.generic {indexing_maps = [affine_map<(d0, d1, d2, d3) -> (d0, d1, d2, d3)>, affine_map<(d0, d1, d2, d3) -> (d0, d1, d2, d3)>], iterator_types = ["parallel", "parallel", "parallel", "parallel"]} ins(%10 : tensor<1x2x80x80xf32>) outs(%11 : tensor<1x2x80x80xf16>) {
    ^bb0(%in: f32, %out: f16):
      %18 = arith.truncf %in : f32 to f16
      linalg.yield %18 : f16
    } -> tensor<1x2x80x80xf16>
    %13 = tensor.empty() : tensor<1x2x80x32xf32>
    %14 = linalg.fill ins(%cst : f32) outs(%13 : tensor<1x2x80x32xf32>) -> tensor<1x2x80x32xf32>
    %15 = linalg.generic {indexing_maps = [affine_map<(d0, d1, d2, d3, d4) -> (d0, d1, d2, d4)>, affine_map<(d0, d1, d2, d3, d4) -> (d0, d1, d4, d3)>, affine_map<(d0, d1, d2, d3, d4) -> (d0, d1, d2, d3)>], iterator_types = ["parallel", "parallel", "parallel", "parallel", "reduction"]} ins(%12, %arg2 : tensor<1x2x80x80xf16>, tensor<1x2x80x32xf16>) outs(%14 : tensor<1x2x80x32xf32>) {
    ^bb0(%in: f16, %in_1: f16, %out: f32):
      %18 = arith.extf %in : f16 to f32
      %19 = arith.extf %in_1 : f16 to f32
      %20 = arith.mulf %18, %19 : f32
      %21 = arith.addf %out, %20 : f32
      linalg.yield %21 : f32
    } -> tensor<1x2x80x32xf32>
    %16 = tensor.empty() : tensor<1x2x80x32xf16>
    %17 = linalg.generic {indexing_maps = [affine_map<(d0, d1, d2, d3) -> (d0, d1, d2, d3)>, affine_map<(d0, d1, d2, d3) -> (d0, d1, d2, d3)>], iterator_types = ["parallel", "parallel", "parallel", "parallel"]} ins(%15 : tensor<1x2x80x32xf32>) outs(%16 : tensor<1x2x80x32xf16>) {
    ^bb0(%in: f32, %out: f16):
      %18 = arith.truncf %in : f32 to f16
      linalg.yield %18 : f16
    } -> tensor<1x2x80x32xf16>
    return %17 : tensor<1x2x80x32xf16>
  }
}
