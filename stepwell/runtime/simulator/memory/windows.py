"""Where the state spaces lie in the generic address space.

Global memory and constants have their own addresses there. Shared, local and parameter memory are windows: the number
of the window is in the top byte, the address within the space in the low 32 bits. In a cluster, a shared address
holds the rank of its block too, above ``RANK_SHIFT``: the window of a block is part of the window of its cluster.
"""

WINDOW_SHIFT = 56
WINDOWS = {"shared": 1 << WINDOW_SHIFT, "local": 2 << WINDOW_SHIFT, "param": 3 << WINDOW_SHIFT}
SPACES = ("global", "shared", "local", "param")

RANK_SHIFT = 24
"""Shared addresses of the block of rank r in its cluster begin at r << RANK_SHIFT."""

SHARED_START = 1024
"""First byte of a block's shared memory that belongs to it; those before it are the system's."""

LOCAL_START = 16
"""First byte of a thread's local memory; a null pointer is none."""
