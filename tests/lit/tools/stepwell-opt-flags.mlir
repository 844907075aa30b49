// RUN: stepwell-opt %s --mlir-print-op-generic | FileCheck %s --check-prefix=GENERIC
// RUN: stepwell-opt %s -mlir-print-op-generic=true | FileCheck %s --check-prefix=GENERIC
// RUN: stepwell-opt %s --mlir-print-debuginfo --mlir-print-local-scope | FileCheck %s --check-prefix=LOCATION
// RUN: stepwell-opt %s --emit-bytecode | stepwell-opt --mlir-print-debuginfo | FileCheck %s --check-prefix=BYTECODE
// RUN: stepwell-opt - --mlir-print-debuginfo < %s | FileCheck %s --check-prefix=STDIN
// RUN: not stepwell-opt %s --mlir-print-value-users 2>&1 | FileCheck %s --check-prefix=REFUSED
// RUN: stepwell-opt --show-dialects | FileCheck %s --check-prefix=DIALECTS
// RUN: stepwell-opt --list-passes | FileCheck %s --check-prefix=PASSES
// RUN: stepwell-opt %s --cse --dump-pass-pipeline -o /dev/null 2>&1 | FileCheck %s --check-prefix=PIPELINE

// GENERIC: "func.func"() <{function_type = () -> (), sym_name = "f"}>
// LOCATION: return loc("{{.*}}stepwell-opt-flags.mlir":[[#@LINE + 8]]:3)
// BYTECODE: #[[LINE:.*]] = loc("{{.*}}stepwell-opt-flags.mlir":{{.*}})
// STDIN: loc("<stdin>":0:0)
// REFUSED: stepwell-opt: --mlir-print-value-users is not supported: the bindings' printer has no such setting
// DIALECTS: Available Dialects: {{.*}},graph,{{.*}},plan,
// PASSES: --verify-graph
// PIPELINE: Pass Manager with 1 passes:
func.func @f() {
  return
}
