"""``check="each-pass"``: run the program before and after every pass, and name the first that changes its results.

Whatever stage the program is at, it is run by a road without schedules on the same inputs, ordinary and adversarial:

    graph                 main by its ops' numpy semantics, or as below where sizes are symbolic
    linalg                main on tensors, through ``reference-cpu``
    kernels               the host's plan, interpreted here, with each kernel through ``reference-cpu``
    scheduled and below   each kernel through ``cpu-lowering``, on what the plan fed it; kernels for a GPU through
                          ``cuda-lowering`` on the simulated device
"""

from stepwell.backends.checking.each_pass import EachPassCheck

__all__ = ["EachPassCheck"]
