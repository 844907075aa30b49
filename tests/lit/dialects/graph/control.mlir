// RUN: stepwell-opt %s --verify-graph | stepwell-opt --verify-graph | FileCheck %s

#cond1 = array<i32: 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0>
#loop3 = array<i32: 1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0>
#loop2 = array<i32: 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0>
#out1 = array<i32: 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0>
#out2 = array<i32: 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0>

module attributes {stepwell.stage = "graph"} {
  // CHECK-LABEL: func.func @main
  func.func @main(%p: tensor<1xi1>, %n: tensor<i64>, %x: tensor<?x4xf32, ["s0"]>, %h: tensor<4xf32>) -> (tensor<?x4xf32, ["s0"]>, tensor<i64>, tensor<?x4xf32, ["s0"]>) {
    // CHECK: "graph.cond"(%{{.*}}, %{{.*}}) {{.*}}otherwise = @twice{{.*}}then = @same
    %0 = "graph.cond"(%p, %x) {then = @same, otherwise = @twice, operandSegmentSizes = #cond1, resultSegmentSizes = #out1}
        : (tensor<1xi1>, tensor<?x4xf32, ["s0"]>) -> tensor<?x4xf32, ["s0"]>
    // CHECK: "graph.while_loop"(%{{.*}}, %{{.*}}, %{{.*}}) {body = @next, carried = 2 : i64, condition = @below
    %1:2 = "graph.while_loop"(%n, %0, %n) {condition = @below, body = @next, carried = 2 : i64, operandSegmentSizes = #loop3, resultSegmentSizes = #out2}
        : (tensor<i64>, tensor<?x4xf32, ["s0"]>, tensor<i64>) -> (tensor<i64>, tensor<?x4xf32, ["s0"]>)
    // CHECK: "graph.scan"(%{{.*}}, %{{.*}}) {body = @step, carried = 1 : i64{{.*}}scanned = 1 : i64
    %2:2 = "graph.scan"(%h, %1#1) {body = @step, carried = 1 : i64, scanned = 1 : i64, operandSegmentSizes = #loop2, resultSegmentSizes = #out2}
        : (tensor<4xf32>, tensor<?x4xf32, ["s0"]>) -> (tensor<4xf32>, tensor<?x4xf32, ["s0"]>)
    return %0, %1#0, %2#1 : tensor<?x4xf32, ["s0"]>, tensor<i64>, tensor<?x4xf32, ["s0"]>
  }
  func.func @same(%x: tensor<?x4xf32, ["s0"]>) -> tensor<?x4xf32, ["s0"]> {
    return %x : tensor<?x4xf32, ["s0"]>
  }
  func.func @twice(%x: tensor<?x4xf32, ["s0"]>, %s0: index {stepwell.symbol = "s0"}) -> tensor<?x4xf32, ["s0"]> {
    %0 = "graph.add"(%x, %x) : (tensor<?x4xf32, ["s0"]>, tensor<?x4xf32, ["s0"]>) -> tensor<?x4xf32, ["s0"]>
    return %0 : tensor<?x4xf32, ["s0"]>
  }
  func.func @below(%i: tensor<i64>, %x: tensor<?x4xf32, ["s0"]>, %n: tensor<i64>) -> tensor<i1> {
    %0 = "graph.lt"(%i, %n) : (tensor<i64>, tensor<i64>) -> tensor<i1>
    return %0 : tensor<i1>
  }
  func.func @next(%i: tensor<i64>, %x: tensor<?x4xf32, ["s0"]>, %n: tensor<i64>) -> (tensor<i64>, tensor<?x4xf32, ["s0"]>) {
    %0 = "graph.add"(%i, %n) : (tensor<i64>, tensor<i64>) -> tensor<i64>
    return %0, %x : tensor<i64>, tensor<?x4xf32, ["s0"]>
  }
  func.func @step(%h: tensor<4xf32>, %x: tensor<4xf32>) -> (tensor<4xf32>, tensor<4xf32>) {
    %0 = "graph.add"(%h, %x) : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
    return %0, %x : tensor<4xf32>, tensor<4xf32>
  }
}
