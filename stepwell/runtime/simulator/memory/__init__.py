"""The memory of the simulated device."""
