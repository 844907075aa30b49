"""The strict machine: it proves kernels right, or names what is wrong with them.

``machine`` runs the warps, ``watcher`` is told what they do; ``races`` checks accesses against what ``clocks`` know.
"""
