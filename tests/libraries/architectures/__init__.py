"""Models of public libraries with random weights in small configurations, run through the compiler and judged."""

import torch

# torchvision's compiled ops come in builds for GPUs only.  Models of plain torch need no more of them than their names.
_TORCHVISION = torch.library.Library("torchvision", "FRAGMENT")
for _schema in (
    "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
):
    _TORCHVISION.define(_schema)
