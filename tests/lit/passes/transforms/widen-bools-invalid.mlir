// RUN: stepwell-opt %s --widen-bools --verify-diagnostics

func.func @vector_of_bools(%m: memref<?xi1>, %i: index) -> vector<8xi1> {
  // expected-error @+1 {{'vector.load' op expects bytes in memory; bools are compared with zero after the load}}
  %v = vector.load %m[%i] : memref<?xi1>, vector<8xi1>
  return %v : vector<8xi1>
}
