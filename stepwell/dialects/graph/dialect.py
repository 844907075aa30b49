"""The graph dialect: tensor ops with torch's meaning, and types equal to torch's own metadata."""

from stepwell.dialects.definition import Dialect


class Graph(Dialect, name="graph"):
    """Tensor ops as torch defines them; each family of ops is a file of this folder."""
