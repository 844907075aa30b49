// RUN: stepwell-opt %s --cpu-outline-parallel --split-input-file --verify-diagnostics

func.func @two_dimensions(%w: memref<i8>, %status: memref<i32>) {
  // expected-error @+1 {{'scf.forall' op expects one dimension and no results}}
  scf.forall (%i, %j) in (4, 4) {
  }
  return
}

// -----

func.func @shared_results(%t: tensor<4xf32>, %w: memref<i8>, %status: memref<i32>) {
  // expected-error @+1 {{'scf.forall' op expects one dimension and no results}}
  %r = scf.forall (%i) in (4) shared_outs(%o = %t) -> (tensor<4xf32>) {
    scf.forall.in_parallel {
    }
  }
  return
}

// -----

func.func @no_interface(%p: memref<f32>) {
  // expected-error @+1 {{'scf.forall' op expects workspace and status slot as the last arguments of its function}}
  scf.forall (%i) in (4) {
  }
  return
}

// -----

func.func @captured_vector(%p: memref<4xf32>, %w: memref<i8>, %status: memref<i32>) {
  %c0 = arith.constant 0 : index
  %v = vector.load %p[%c0] : memref<4xf32>, vector<4xf32>
  // expected-error @+1 {{'scf.forall' op captures a value of type vector<4xf32> that can be neither recomputed nor handed over}}
  scf.forall (%i) in (4) {
    vector.store %v, %p[%i] : memref<4xf32>, vector<4xf32>
  }
  return
}
