// RUN: stepwell-opt %s --cpu-lower-launches --verify-diagnostics

// expected-error @+1 {{'func.func' op expects launch functions in the llvm dialect; convert-func-to-llvm comes first}}
func.func private @launch(memref<f32>, index) attributes {
  stepwell.launch = {body = @body, grain = 16 : i64, workspace = 0 : i64, workspace_argument = 0 : i64}}
