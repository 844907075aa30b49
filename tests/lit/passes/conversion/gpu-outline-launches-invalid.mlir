// RUN: stepwell-opt %s --gpu-outline-launches --split-input-file --verify-diagnostics

func.func @effect_between(%p: memref<f32>, %w: memref<i8>, %status: memref<i32>) {
  %x = arith.constant 1.0 : f32
  // expected-error @+1 {{'memref.store' op has no place between launches: only they run on the GPU}}
  memref.store %x, %p[] : memref<f32>
  scf.forall (%block) in (4) {
    scf.forall (%thread) in (32) {
    } {mapping = [#gpu.thread<x>]}
  } {mapping = [#gpu.block<x>]}
  return
}

// -----

func.func @no_threads(%w: memref<i8>, %status: memref<i32>) {
  // expected-error @+1 {{'scf.forall' op expects one loop over threads inside, got 0}}
  scf.forall (%block) in (4) {
  } {mapping = [#gpu.block<x>]}
  return
}

// -----

func.func @work_of_the_block(%p: memref<f32>, %w: memref<i8>, %status: memref<i32>) {
  %x = arith.constant 1.0 : f32
  scf.forall (%block) in (4) {
    // expected-error @+1 {{'memref.store' op has no place between a loop over blocks and the loop over its threads}}
    memref.store %x, %p[] : memref<f32>
    scf.forall (%thread) in (32) {
    } {mapping = [#gpu.thread<x>]}
  } {mapping = [#gpu.block<x>]}
  return
}

// -----

func.func @too_many_threads(%w: memref<i8>, %status: memref<i32>) {
  scf.forall (%block) in (4) {
    // expected-error @+1 {{'scf.forall' op expects a static number of threads up to 1024}}
    scf.forall (%thread) in (2048) {
    } {mapping = [#gpu.thread<x>]}
  } {mapping = [#gpu.block<x>]}
  return
}

// -----

func.func @loop_within(%w: memref<i8>, %status: memref<i32>) {
  scf.forall (%block) in (4) {
    scf.forall (%thread) in (32) {
      // expected-error @+1 {{'scf.forall' op has no place inside a loop over threads}}
      scf.forall (%i) in (4) {
      }
    } {mapping = [#gpu.thread<x>]}
  } {mapping = [#gpu.block<x>]}
  return
}

// -----

func.func @steps(%w: memref<i8>, %status: memref<i32>) {
  // expected-error @+1 {{'scf.forall' op expects one dimension from 0 in steps of 1, and no results}}
  scf.forall (%block) = (0) to (4) step (2) {
    scf.forall (%thread) in (32) {
    } {mapping = [#gpu.thread<x>]}
  } {mapping = [#gpu.block<x>]}
  return
}

// -----

func.func @unknown_number(%n: i64, %w: memref<i8>, %status: memref<i32>) {
  %count = arith.index_cast %n : i64 to index
  // expected-error @+1 {{'scf.forall' op expects its number of blocks in 'stepwell.blocks', for the host}}
  scf.forall (%block) in (%count) {
    scf.forall (%thread) in (32) {
    } {mapping = [#gpu.thread<x>]}
  } {mapping = [#gpu.block<x>]}
  return
}

// -----

func.func @loaded_outside(%p: memref<4xf32>, %w: memref<i8>, %status: memref<i32>) {
  %c0 = arith.constant 0 : index
  %big = memref.alloc() : memref<4xf32>
  // expected-error @-1 {{'memref.alloc' op has no place between launches: only they run on the GPU}}
  scf.forall (%block) in (4) {
    scf.forall (%thread) in (32) {
      %x = memref.load %big[%c0] : memref<4xf32>
      memref.store %x, %p[%c0] : memref<4xf32>
    } {mapping = [#gpu.thread<x>]}
  } {mapping = [#gpu.block<x>]}
  return
}

// -----

func.func @dynamic_shared(%n: i64, %w: memref<i8>, %status: memref<i32>) {
  %count = arith.index_cast %n : i64 to index
  scf.forall (%block) in (4) {
    // expected-error @+1 {{'memref.alloca' op expects a static shape: shared memory is laid out before the launch}}
    %tile = memref.alloca(%count) : memref<?xf32, #gpu.address_space<workgroup>>
    scf.forall (%thread) in (32) {
    } {mapping = [#gpu.thread<x>]}
  } {mapping = [#gpu.block<x>]}
  return
}
