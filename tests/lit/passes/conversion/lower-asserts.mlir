// RUN: stepwell-opt %s --lower-asserts --split-input-file | FileCheck %s
// RUN: stepwell-opt %s --pass-pipeline="builtin.module(lower-asserts{erase=true})" --split-input-file | FileCheck %s --check-prefix=ERASE

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
