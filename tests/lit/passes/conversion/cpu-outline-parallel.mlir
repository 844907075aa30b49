// RUN: stepwell-opt %s --pass-pipeline="builtin.module(cpu-outline-parallel,canonicalize,cse)" --split-input-file | FileCheck %s

// The body becomes a function over a range; views of arguments are computed again inside.
// CHECK: func.func private @k0_launch_0(memref<f32>, i64, memref<i8>, memref<i32>, index)
// CHECK-SAME: stepwell.launch = {body = @k0_parallel_0, grain = 16 : i64, workspace = 128 : i64, workspace_argument = 2 : i64}
// CHECK: func.func private @k0_parallel_0(%[[P:.*]]: memref<f32>, %[[S:.*]]: i64, %{{.*}}: memref<i8>, %{{.*}}: memref<i32>, %[[LOW:.*]]: index, %[[HIGH:.*]]: index)
// CHECK-SAME: passthrough = ["noinline"]
// CHECK-DAG: %[[N:.*]] = arith.index_cast %[[S]]
// CHECK: %[[BUFFER:.*]] = memref.reinterpret_cast %[[P]] to offset: [0], sizes: [%[[N]]]
// CHECK: scf.for %[[I:.*]] = %[[LOW]] to %[[HIGH]] step %c1
// CHECK-NEXT: memref.store %{{.*}}, %[[BUFFER]][%[[I]]]
// CHECK-LABEL: func.func @k0
func.func @k0(%p: memref<f32>, %s: i64, %w: memref<i8>, %status: memref<i32>) attributes {stepwell.workspace = 128 : i64} {
  %one = arith.constant 1.0 : f32
  %n = arith.index_cast %s : i64 to index
  %m = memref.reinterpret_cast %p to offset: [0], sizes: [%n], strides: [1] : memref<f32> to memref<?xf32>
  // CHECK: %[[COUNT:.*]] = arith.index_cast
  // CHECK-NEXT: call @k0_launch_0(%{{.*}}, %{{.*}}, %{{.*}}, %{{.*}}, %[[COUNT]])
  scf.forall (%i) in (%n) {
    memref.store %one, %m[%i] : memref<?xf32>
  } {stepwell.grain = 16 : i64}
  return
}

// -----

// What cannot be computed again is handed over: a loaded number, and a buffer by pointer and size.
// CHECK: func.func private @handed_launch_0(memref<f32>, i64, memref<i8>, memref<i32>, f32, memref<f32>, index, index)
// CHECK: func.func private @handed_parallel_0
// CHECK-SAME: %[[X:[^ ]*]]: f32, %[[B:[^ ]*]]: memref<f32>, %[[SIZE:[^ ]*]]: index, %{{[^ ]*}}: index, %{{[^ ]*}}: index)
// CHECK: %[[BUFFER:.*]] = memref.reinterpret_cast %[[B]] to offset: [0], sizes: [%[[SIZE]]]
// CHECK: memref.store %[[X]], %[[BUFFER]]
// CHECK-LABEL: func.func @handed
func.func @handed(%p: memref<f32>, %s: i64, %w: memref<i8>, %status: memref<i32>) {
  %n = arith.index_cast %s : i64 to index
  %x = memref.load %p[] : memref<f32>
  %b = memref.alloc(%n) : memref<?xf32>
  scf.forall (%i) in (%n) {
    memref.store %x, %b[%i] : memref<?xf32>
  }
  memref.dealloc %b : memref<?xf32>
  return
}

// -----

// Bounds and steps count iterations; an inner parallel loop is an ordinary one.
// CHECK: func.func private @stepped_parallel_0
// CHECK: scf.for %[[I:.*]] =
// CHECK: %[[SCALED:.*]] = arith.muli %[[I]], %c2
// CHECK: %[[AT:.*]] = arith.addi %[[SCALED]], %c3
// CHECK: scf.for
// CHECK-NOT: scf.forall
// CHECK: memref.store %{{.*}}, %{{.*}}[%[[AT]]]
// CHECK-LABEL: func.func @stepped
// CHECK: %[[SPAN:.*]] = arith.subi %{{.*}}, %c3
// CHECK: %[[COUNT:.*]] = arith.ceildivsi %[[SPAN]], %c2
// CHECK: call @stepped_launch_0(%{{.*}}, %[[COUNT]])
func.func @stepped(%p: memref<f32>, %s: i64, %w: memref<i8>, %status: memref<i32>) {
  %one = arith.constant 1.0 : f32
  %n = arith.index_cast %s : i64 to index
  %m = memref.reinterpret_cast %p to offset: [0], sizes: [%n], strides: [1] : memref<f32> to memref<?xf32>
  scf.forall (%i) = (3) to (%n) step (2) {
    scf.forall (%j) in (%n) {
      memref.store %one, %m[%i] : memref<?xf32>
    }
  }
  return
}

// -----

// A choice between pure ops is as pure as they are: it is made again in the body.
// CHECK: func.func private @chosen_parallel_0
// CHECK: %[[CHOICE:.*]] = scf.if
// CHECK: arith.negf
// CHECK: scf.for
// CHECK: memref.store %[[CHOICE]]
// CHECK-LABEL: func.func @chosen
func.func @chosen(%p: memref<f32>, %s: i64, %w: memref<i8>, %status: memref<i32>) {
  %one = arith.constant 1.0 : f32
  %zero = arith.constant 0 : i64
  %n = arith.index_cast %s : i64 to index
  %m = memref.reinterpret_cast %p to offset: [0], sizes: [%n], strides: [1] : memref<f32> to memref<?xf32>
  %x = arith.sitofp %s : i64 to f32
  %low = arith.cmpi slt, %s, %zero : i64
  %choice = scf.if %low -> f32 {
    %y = arith.negf %x : f32
    scf.yield %y : f32
  } else {
    scf.yield %one : f32
  }
  scf.forall (%i) in (%n) {
    memref.store %choice, %m[%i] : memref<?xf32>
  }
  return
}

// -----

// CHECK-LABEL: func.func @serial
// CHECK-NEXT: return
func.func @serial(%p: memref<f32>, %w: memref<i8>, %status: memref<i32>) {
  return
}
