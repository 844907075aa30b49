// A failing pass leaves a file that repeats the failure; one of native passes alone is mlir-opt's too.

// RUN: not stepwell-opt %s -canonicalize -verify-graph --mlir-pass-pipeline-crash-reproducer=%t.mlir 2>&1 \
// RUN:   | FileCheck %s --check-prefix=FAIL
// RUN: FileCheck %s --check-prefix=FILE --input-file=%t.mlir
// RUN: not stepwell-opt %t.mlir --run-reproducer 2>&1 | FileCheck %s --check-prefix=AGAIN
// RUN: stepwell-opt %s -canonicalize --mlir-generate-reproducer=%t.native.mlir -o /dev/null
// RUN: FileCheck %s --check-prefix=NATIVE --input-file=%t.native.mlir
// RUN: stepwell-opt %t.native.mlir --run-reproducer | FileCheck %s --check-prefix=FOLDED

// FAIL: error: 'arith.constant' op is not allowed at stage 'graph'
// FAIL: error: Failures have been detected while processing an MLIR pass pipeline
// FAIL: `VerifyGraphPass` on 'builtin.module' operation
// FILE: // stepwell-reproducer: {"pipeline": "builtin.module(canonicalize,verify-graph)"
// FILE: arith.addi
// AGAIN: error: 'arith.constant' op is not allowed at stage 'graph'
// NATIVE: mlir_reproducer: {
// NATIVE-NEXT: pipeline: "builtin.module(canonicalize)"
// FOLDED: arith.constant 2
func.func @f() -> i32 {
  %c = arith.constant 1 : i32
  %x = arith.addi %c, %c : i32
  return %x : i32
}
