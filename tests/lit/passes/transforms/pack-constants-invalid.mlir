// RUN: stepwell-opt %s --pack-constants --verify-diagnostics

// expected-error@below {{'func.func' op the dynamic sizes of tensor<?x64xf32> are not given}}
func.func @unnamed_size(%x: tensor<?x64xf32>) -> tensor<?x64xf32> {
  return %x : tensor<?x64xf32>
}
