"""The plan dialect: the host's program."""

from stepwell.dialects.definition import Dialect


class Plan(Dialect, name="plan"):
    """What the host does in one call: bind sizes, view buffers, launch kernels.

    Values are whole contiguous tensors whose types carry their sizes as the graph dialect's do.
    """
