"""How groups of ops leave a function and become kernels: the parts of ``form-kernels``."""
