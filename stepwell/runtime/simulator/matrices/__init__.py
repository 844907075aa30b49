"""How matrices lie in registers and in shared memory, as pure functions of numpy arrays."""
