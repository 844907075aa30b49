// RUN: stepwell-opt %s --split-input-file --cpu-move-bfloat16 | FileCheck %s

// A value that lives across blocks, as a block's argument and as a chosen one.
// CHECK-LABEL: llvm.func @moved
llvm.func @moved(%from: !llvm.ptr, %to: !llvm.ptr, %which: i1) {
  // CHECK: %[[ONE:.*]] = llvm.mlir.constant(16256 : i16) : i16
  %one = llvm.mlir.constant(1.0 : bf16) : bf16
  // CHECK: %[[READ:.*]] = llvm.load %{{.*}} : !llvm.ptr -> i16
  %read = llvm.load %from : !llvm.ptr -> bf16
  // CHECK: %[[CHOSEN:.*]] = llvm.select %{{.*}}, %[[READ]], %[[ONE]] : i1, i16
  %chosen = llvm.select %which, %read, %one : i1, bf16
  // CHECK: llvm.br ^[[NEXT:.*]](%[[CHOSEN]] : i16)
  llvm.br ^next(%chosen : bf16)
// CHECK: ^[[NEXT]](%[[VALUE:.*]]: i16):
^next(%value: bf16):
  // CHECK: llvm.store %[[VALUE]], %{{.*}} : i16, !llvm.ptr
  llvm.store %value, %to : bf16, !llvm.ptr
  llvm.return
}

// What was cast to integers is one already.
// CHECK-LABEL: llvm.func @cast
llvm.func @cast(%from: !llvm.ptr, %to: !llvm.ptr) {
  // CHECK: llvm.mlir.constant(dense<-16384> : vector<2xi16>) : vector<2xi16>
  %twos = llvm.mlir.constant(dense<-2.0> : vector<2xbf16>) : vector<2xbf16>
  // CHECK: %[[READ:.*]] = llvm.load %{{.*}} : !llvm.ptr -> vector<2xi16>
  %read = llvm.load %from : !llvm.ptr -> vector<2xbf16>
  // CHECK-NOT: llvm.bitcast
  %bits = llvm.bitcast %read : vector<2xbf16> to vector<2xi16>
  // CHECK: llvm.store %[[READ]]
  llvm.store %bits, %to : vector<2xi16>, !llvm.ptr
  llvm.store %twos, %to : vector<2xbf16>, !llvm.ptr
  llvm.return
}

// -----

// A kernel that computes with bfloat16 is left alone.
// CHECK-LABEL: llvm.func @computed
llvm.func @computed(%from: !llvm.ptr, %to: !llvm.ptr) {
  // CHECK: llvm.load %{{.*}} : !llvm.ptr -> bf16
  %read = llvm.load %from : !llvm.ptr -> bf16
  %sum = llvm.fadd %read, %read : bf16
  // CHECK: llvm.store %{{.*}} : bf16
  llvm.store %sum, %to : bf16, !llvm.ptr
  llvm.return
}

// -----

// One whose functions take bfloat16, too.
// CHECK-LABEL: llvm.func @taken
// CHECK: llvm.store %{{.*}} : bf16
llvm.func @taken(%value: bf16, %to: !llvm.ptr) {
  llvm.store %value, %to : bf16, !llvm.ptr
  llvm.return
}

// -----

// Other types are none of its business.
// CHECK-LABEL: llvm.func @half
// CHECK: llvm.load %{{.*}} : !llvm.ptr -> f16
llvm.func @half(%from: !llvm.ptr, %to: !llvm.ptr) {
  %read = llvm.load %from : !llvm.ptr -> f16
  llvm.store %read, %to : f16, !llvm.ptr
  llvm.return
}
