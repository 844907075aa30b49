"""Where the host's tensors live: the parts of ``plan-buffers``."""
