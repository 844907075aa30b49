// RUN: stepwell-opt %s --cpu-unmask-narrow-floats | FileCheck %s
// RUN: stepwell-opt %s --cpu-unmask-narrow-floats --cpu-unmask-narrow-floats | FileCheck %s

// CHECK-LABEL: llvm.func @load
llvm.func @load(%p: !llvm.ptr, %mask: vector<8xi1>, %other: vector<8xbf16>) -> vector<8xbf16> {
  // CHECK: %[[OTHER:.*]] = llvm.bitcast %{{.*}} : vector<8xbf16> to vector<8xi16>
  // CHECK: %[[READ:.*]] = llvm.intr.masked.load %{{.*}}, %{{.*}}, %[[OTHER]] {alignment = 2 : i32} : (!llvm.ptr, vector<8xi1>, vector<8xi16>) -> vector<8xi16>
  // CHECK: llvm.bitcast %[[READ]] : vector<8xi16> to vector<8xbf16>
  %0 = llvm.intr.masked.load %p, %mask, %other {alignment = 2 : i32} : (!llvm.ptr, vector<8xi1>, vector<8xbf16>) -> vector<8xbf16>
  llvm.return %0 : vector<8xbf16>
}

// CHECK-LABEL: llvm.func @store
llvm.func @store(%p: !llvm.ptr, %mask: vector<8xi1>, %value: vector<8xf16>) {
  // CHECK: %[[VALUE:.*]] = llvm.bitcast %{{.*}} : vector<8xf16> to vector<8xi16>
  // CHECK: llvm.intr.masked.store %[[VALUE]], %{{.*}}, %{{.*}} {alignment = 2 : i32} : vector<8xi16>, vector<8xi1> into !llvm.ptr
  llvm.intr.masked.store %value, %p, %mask {alignment = 2 : i32} : vector<8xf16>, vector<8xi1> into !llvm.ptr
  llvm.return
}

// Other types are left alone.
// CHECK-LABEL: llvm.func @wide
llvm.func @wide(%p: !llvm.ptr, %mask: vector<8xi1>, %value: vector<8xf32>) {
  // CHECK-NOT: llvm.bitcast
  // CHECK: llvm.intr.masked.store
  llvm.intr.masked.store %value, %p, %mask {alignment = 4 : i32} : vector<8xf32>, vector<8xi1> into !llvm.ptr
  llvm.return
}
