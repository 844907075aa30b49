// RUN: stepwell-opt %s | stepwell-opt | FileCheck %s

// CHECK-LABEL: func.func @rows
func.func @rows(%x: tensor<?x9xf32, ["n"]>, %b: tensor<5xf32>) {
  // CHECK: "graph.cumsum"
  %0 = "graph.cumsum"(%x) {dim = 1 : i64} : (tensor<?x9xf32, ["n"]>) -> tensor<?x9xf32, ["n"]>
  // CHECK: "graph.cumprod"
  %1 = "graph.cumprod"(%x) {dim = 0 : i64} : (tensor<?x9xf32, ["n"]>) -> tensor<?x9xf32, ["n"]>
  // CHECK: "graph.logcumsumexp"
  %2 = "graph.logcumsumexp"(%x) {dim = 0 : i64} : (tensor<?x9xf32, ["n"]>) -> tensor<?x9xf32, ["n"]>
  // CHECK: "graph.cummax"
  %3:2 = "graph.cummax"(%x) {dim = 0 : i64} : (tensor<?x9xf32, ["n"]>) -> (tensor<?x9xf32, ["n"]>, tensor<?x9xi64, ["n"]>)
  // CHECK: "graph.cummin"
  %4:2 = "graph.cummin"(%x) {dim = 0 : i64} : (tensor<?x9xf32, ["n"]>) -> (tensor<?x9xf32, ["n"]>, tensor<?x9xi64, ["n"]>)
  // CHECK: "graph.sort"
  %5:2 = "graph.sort"(%x) {dim = 1 : i64, descending = true} : (tensor<?x9xf32, ["n"]>) -> (tensor<?x9xf32, ["n"]>, tensor<?x9xi64, ["n"]>)
  // CHECK: "graph.topk"
  %6:2 = "graph.topk"(%x) {k = 3 : i64, dim = 1 : i64, largest = true} : (tensor<?x9xf32, ["n"]>) -> (tensor<?x3xf32, ["n"]>, tensor<?x3xi64, ["n"]>)
  // CHECK: "graph.median"
  %7:2 = "graph.median"(%x) {dim = 1 : i64} : (tensor<?x9xf32, ["n"]>) -> (tensor<?xf32, ["n"]>, tensor<?xi64, ["n"]>)
  // CHECK: "graph.nanmedian"
  %9:2 = "graph.nanmedian"(%x) {dim = 1 : i64} : (tensor<?x9xf32, ["n"]>) -> (tensor<?xf32, ["n"]>, tensor<?xi64, ["n"]>)
  // CHECK: "graph.mode"
  %10:2 = "graph.mode"(%x) {dim = 0 : i64} : (tensor<?x9xf32, ["n"]>) -> (tensor<9xf32>, tensor<9xi64>)
  // CHECK: "graph.searchsorted"
  %8 = "graph.searchsorted"(%b, %x) {right = false} : (tensor<5xf32>, tensor<?x9xf32, ["n"]>) -> tensor<?x9xi64, ["n"]>
  return
}
