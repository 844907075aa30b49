// RUN: stepwell-opt %s --lower-control | FileCheck %s

#branch2_1 = array<i32: 1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1>
#ploop3 = array<i32: 1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0>
#ploop2 = array<i32: 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0>
#out1 = array<i32: 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0>
#out2 = array<i32: 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0>

module {
  // CHECK-LABEL: func.func @main
  func.func @main(%p: tensor<1xi1>, %n: tensor<i64>, %x: tensor<?x4xf32> {stepwell.sizes = ["s0"]}, %h: tensor<4xf32>, %s0: index {stepwell.symbol = "s0"}) -> (tensor<i64>, tensor<?x4xf32>) {
    // CHECK: %[[P:.*]] = tensor.extract %arg0
    // CHECK: %[[B:.*]] = scf.if %[[P]] -> (tensor<?x4xf32>) {
    // CHECK: func.call @twice(%arg2, %arg3, %arg4)
    // CHECK: } else {
    // CHECK: func.call @same(%arg2, %arg3)
    %0 = "plan.branch"(%p, %x, %h, %s0) {then = @twice, otherwise = @same, result_sizes = [["s0"]], operandSegmentSizes = #branch2_1, resultSegmentSizes = #out1}
        : (tensor<1xi1>, tensor<?x4xf32>, tensor<4xf32>, index) -> tensor<?x4xf32>
    // CHECK: scf.while
    // CHECK: func.call @below
    // CHECK: tensor.extract
    // CHECK: scf.condition
    // CHECK: func.call @next
    %1:2 = "plan.loop"(%n, %0, %n) {condition = @below, body = @next, carried = 2 : i64, scanned = 0 : i64, result_sizes = [[], ["s0"]], operandSegmentSizes = #ploop3, resultSegmentSizes = #out2}
        : (tensor<i64>, tensor<?x4xf32>, tensor<i64>) -> (tensor<i64>, tensor<?x4xf32>)
    // CHECK: scf.for
    // CHECK: tensor.extract_slice
    // CHECK: func.call @step
    // CHECK: tensor.insert_slice
    %2:2 = "plan.loop"(%h, %1#1) {body = @step, carried = 1 : i64, scanned = 1 : i64, trips = "s0", result_sizes = [[], ["s0"]], operandSegmentSizes = #ploop2, resultSegmentSizes = #out2}
        : (tensor<4xf32>, tensor<?x4xf32>) -> (tensor<4xf32>, tensor<?x4xf32>)
    // CHECK-NOT: plan.
    return %1#0, %2#1 : tensor<i64>, tensor<?x4xf32>
  }
  func.func @twice(%x: tensor<?x4xf32> {stepwell.sizes = ["s0"]}, %h: tensor<4xf32>, %s0: index {stepwell.symbol = "s0"}) -> tensor<?x4xf32> {
    return %x : tensor<?x4xf32>
  }
  func.func @same(%x: tensor<?x4xf32> {stepwell.sizes = ["s0"]}, %h: tensor<4xf32>) -> tensor<?x4xf32> {
    return %x : tensor<?x4xf32>
  }
  func.func @below(%i: tensor<i64>, %x: tensor<?x4xf32> {stepwell.sizes = ["s0"]}, %n: tensor<i64>) -> tensor<i1> {
    %0 = tensor.empty() : tensor<i1>
    return %0 : tensor<i1>
  }
  func.func @next(%i: tensor<i64>, %x: tensor<?x4xf32> {stepwell.sizes = ["s0"]}, %n: tensor<i64>) -> (tensor<i64>, tensor<?x4xf32>) {
    return %n, %x : tensor<i64>, tensor<?x4xf32>
  }
  func.func @step(%h: tensor<4xf32>, %x: tensor<4xf32>) -> (tensor<4xf32>, tensor<4xf32>) {
    return %x, %h : tensor<4xf32>, tensor<4xf32>
  }
  // CHECK-LABEL: func.func @alone
  // CHECK-NEXT: return
  func.func @alone(%x: tensor<4xf32>) -> tensor<4xf32> {
    return %x : tensor<4xf32>
  }
}
