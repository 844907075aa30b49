// RUN: stepwell-opt %s --lower-asserts --split-input-file | FileCheck %s
// RUN: stepwell-opt %s --pass-pipeline="builtin.module(lower-asserts{erase=true})" --split-input-file | FileCheck %s --check-prefix=ERASE
// RUN: stepwell-opt %s --pass-pipeline="builtin.module(lower-asserts{atomic=true})" --split-input-file | FileCheck %s --check-prefix=ATOMIC

// One number for each message, counted from 1, also inside loops.
// CHECK-LABEL: func.func @two_messages
// CHECK-SAME: %[[STATUS:[^:]*]]: memref<i32>) attributes {stepwell.asserts = ["index-out-of-range: x", "integer-division-by-zero: y"]}
// ERASE-LABEL: func.func @two_messages
// ERASE-NOT: cf.assert
// ERASE-NOT: memref.store
func.func @two_messages(%a: i1, %b: i1, %n: index, %w: memref<i8>, %status: memref<i32>) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  // CHECK: scf.for
  scf.for %i = %c0 to %n step %c1 {
    // CHECK: %[[FAILED:.*]] = arith.xori %{{.*}}, %true
    // CHECK: scf.if %[[FAILED]] {
    // CHECK-NEXT: %[[CODE:.*]] = arith.constant 1 : i32
    // CHECK-NEXT: memref.store %[[CODE]], %[[STATUS]][]
    cf.assert %a, "index-out-of-range: x"
    // CHECK: arith.constant 2 : i32
    cf.assert %b, "integer-division-by-zero: y"
    // CHECK: arith.constant 1 : i32
    cf.assert %b, "index-out-of-range: x"
  }
  return
}

// -----

// Numbers go on behind messages that are there already.
// CHECK-LABEL: func.func @continued
// CHECK-SAME: stepwell.asserts = ["old", "new"]
func.func @continued(%a: i1, %w: memref<i8>, %status: memref<i32>) attributes {stepwell.asserts = ["old"]} {
  // CHECK: arith.constant 2 : i32
  cf.assert %a, "new"
  return
}

// -----

// Nothing to do: no attribute, no slot needed.
// CHECK-LABEL: func.func @unaffected
// CHECK-SAME: (%{{.*}}: i1) -> i1 {
func.func @unaffected(%a: i1) -> i1 {
  // CHECK-NEXT: return
  return %a : i1
}

// -----

// ERASE-LABEL: func.func @reports
// On a GPU the largest number wins, also over those that a schedule stores itself; other stores stay.
// ATOMIC-LABEL: func.func @reports
// ATOMIC-SAME: %[[DATA:[^ ]*]]: memref<i32>, %{{.*}}: memref<i8>, %[[STATUS:[^ ]*]]: memref<i32>, %{{.*}}: !llvm.ptr)
func.func @reports(%a: i1, %data: memref<i32>, %w: memref<i8>, %status: memref<i32>, %map: !llvm.ptr) {
  %code = arith.constant 5 : i32
  // ATOMIC: memref.store %{{.*}}, %[[DATA]][]
  memref.store %code, %data[] : memref<i32>
  // ATOMIC: memref.atomic_rmw maxs %{{.*}}, %[[STATUS]][]
  memref.store %code, %status[] : memref<i32>
  // ATOMIC: scf.if
  // ATOMIC: memref.atomic_rmw maxs %{{.*}}, %[[STATUS]][]
  // ATOMIC-NOT: memref.store
  cf.assert %a, "x"
  return
}
