"""A simulated GPU that executes PTX: numbers without the machine, and proof where there is none.

``Simulator`` is the device. Below it: ``ptx`` reads the text, ``machine`` decodes it and runs its threads,
``instructions`` holds what each instruction does, ``memory`` the memory, ``strict`` the watchful mode.
"""

from stepwell.runtime.simulator.counts import Counts
from stepwell.runtime.simulator.simulator import SimModule, Simulator
from stepwell.runtime.simulator.tensor_maps import TensorMapValue

__all__ = ["Counts", "SimModule", "Simulator", "TensorMapValue"]
