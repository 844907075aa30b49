// RUN: stepwell-opt %s --schedule-nvidia=target=cuda:sm_90a --split-input-file --verify-diagnostics

module @k0 {
  // expected-error @below {{'func.func' op cannot be scheduled: the dynamic sizes of tensor<?xf32> are not given}}
  func.func @size_not_given(%x: tensor<?xf32>) -> tensor<?xf32> {
    return %x : tensor<?xf32>
  }
}
