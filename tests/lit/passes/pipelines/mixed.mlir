// RUN: stepwell-opt %s --pass-pipeline='builtin.module(func.func(canonicalize),verify-linalg,func.func(cse),verify-linalg)' \
// RUN:   | FileCheck %s
// RUN: stepwell-opt %s -canonicalize -verify-linalg -cse | FileCheck %s
// RUN: stepwell-opt %s --pass-pipeline='builtin.module(verify-linalg,cse)' --mlir-print-ir-after-all -o /dev/null 2>&1 \
// RUN:   | FileCheck %s --check-prefix=DUMP
// RUN: stepwell-opt %s --pass-pipeline='builtin.module(verify-linalg,func.func(cse))' --mlir-timing -o /dev/null 2>&1 \
// RUN:   | FileCheck %s --check-prefix=TIME

// Native passes, passes of ours and nests stand in one pipeline, in any order.
// CHECK: module attributes {stepwell.stage = "linalg"}
// CHECK-LABEL: func.func @sum
// CHECK: arith.constant 2
// CHECK-NOT: arith.constant 1

// DUMP: IR Dump After VerifyLinalgPass (verify-linalg)
// DUMP: stepwell.stage = "linalg"
// DUMP: IR Dump After CSE (cse)

// TIME: Execution time report
// TIME: Parser
// TIME-NEXT: VerifyLinalgPass
// TIME-NEXT: 'func.func' Pipeline
// TIME-NEXT: {{^.*    }}CSE
// TIME-NEXT: Output
func.func @sum(%a: i32) -> i32 {
  %c = arith.constant 1 : i32
  %d = arith.constant 1 : i32
  %x = arith.addi %c, %d : i32
  %y = arith.addi %a, %x : i32
  return %y : i32
}
