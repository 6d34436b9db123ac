"""torchvision's definition of SSD beside the network: how boxes are coded, matched and made detections of."""

from __future__ import annotations

import functools
from typing import Any

from torch import nn

SCORE, OVERLAP, MOST = 0.01, 0.45, 200
"""A detection's least score, the IoU above which the lower of two is dropped, and how many an image has at most."""


@functools.cache
def ssd() -> Any:
    """A ``torchvision.models.detection.ssd.SSD`` of which no network is used.

    Its ``proposal_matcher`` gives each object the boxes with an IoU of at least 0.5, and its best one. Its
    ``box_coder`` writes a box as an offset from a default box. torchvision takes a second to import.
    """
    from torchvision.models.detection.ssd import SSD

    unused = nn.Identity()
    return SSD(
        backbone=unused,
        anchor_generator=unused,
        head=unused,
        size=(1, 1),
        num_classes=0,
        score_thresh=SCORE,
        nms_thresh=OVERLAP,
        detections_per_img=MOST,
    )
