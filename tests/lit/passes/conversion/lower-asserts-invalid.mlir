// RUN: stepwell-opt %s --lower-asserts --split-input-file --verify-diagnostics

func.func @no_status_slot(%ok: i1) {
  // expected-error @+1 {{'cf.assert' op expects the status slot as the last argument of its function}}
  cf.assert %ok, "index-out-of-range: x"
  return
}
