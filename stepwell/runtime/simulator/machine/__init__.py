"""The simulated machine: threads, their registers, and who runs when."""
