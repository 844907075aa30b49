// RUN: stepwell-opt %s --cpu-lower-launches --split-input-file | FileCheck %s

// CHECK-DAG: llvm.func @GOMP_parallel(!llvm.ptr, !llvm.ptr, i32, i32)
// CHECK-DAG: llvm.func @omp_get_max_threads() -> i32
llvm.func @body(!llvm.ptr, !llvm.ptr, !llvm.ptr, i64, i64)

// CHECK-LABEL: llvm.func internal @launch(
// CHECK-SAME: %[[P:.*]]: !llvm.ptr, %[[W:.*]]: !llvm.ptr, %[[S:.*]]: !llvm.ptr, %[[COUNT:.*]]: i64)
// CHECK: %[[GRAIN:.*]] = llvm.mlir.constant(16 : i64)
// CHECK: %[[SMALL:.*]] = llvm.icmp "sle" %[[COUNT]], %[[GRAIN]]
// CHECK: llvm.cond_br %[[SMALL]], ^[[SERIAL:.*]], ^[[ASK:.*]]
// CHECK: llvm.call @omp_get_max_threads()
// CHECK: llvm.call @omp_in_parallel()
// CHECK: llvm.call @body(%[[P]], %[[W]], %[[S]], %{{.*}}, %[[COUNT]])
// CHECK: %[[WORKER:.*]] = llvm.mlir.addressof @launch_worker
// CHECK: llvm.call @GOMP_parallel(%[[WORKER]],

// CHECK-LABEL: llvm.func internal @launch_worker(
// CHECK: %[[BYTES:.*]] = llvm.mlir.constant(128 : i64)
// CHECK: llvm.intr.smin
// CHECK: %[[OFFSET:.*]] = llvm.mul %{{.*}}, %[[BYTES]]
// CHECK: %[[OWN:.*]] = llvm.getelementptr %{{.*}}[%[[OFFSET]]]
// CHECK: llvm.call @body(%{{.*}}, %[[OWN]], %{{.*}}, %{{.*}}, %{{.*}})
llvm.func @launch(!llvm.ptr, !llvm.ptr, !llvm.ptr, i64) attributes {
  stepwell.launch = {body = @body, grain = 16 : i64, workspace = 128 : i64, workspace_argument = 1 : i64}}

// -----

// CHECK-LABEL: llvm.func @unaffected
// CHECK-NOT: GOMP_parallel
llvm.func @unaffected(!llvm.ptr)
