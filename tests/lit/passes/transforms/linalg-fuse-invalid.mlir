// RUN: stepwell-opt %s --linalg-fuse --verify-diagnostics

// expected-error@below {{'func.func' op the dynamic sizes of tensor<?xf32> are not given}}
func.func @unnamed_size(%x: tensor<?xf32>) -> tensor<?xf32> {
  return %x : tensor<?xf32>
}
