// RUN: stepwell-reduce %s --quiet --test=grep --test-arg=-c --test-arg=graph.exp --output-matches=^1 | FileCheck %s

// CHECK: module {
// CHECK-NEXT: func.func @f(%arg0: tensor<1xf32>) {
// CHECK-NEXT: "graph.exp"(%arg0)
// CHECK-NEXT: return
func.func @f(%x: tensor<100xf32>) -> tensor<100xf32> {
  %0 = "graph.relu"(%x) : (tensor<100xf32>) -> tensor<100xf32>
  %1 = "graph.exp"(%0) : (tensor<100xf32>) -> tensor<100xf32>
  %2 = "graph.relu"(%1) : (tensor<100xf32>) -> tensor<100xf32>
  return %2 : tensor<100xf32>
}
