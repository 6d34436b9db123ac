"""SSD300 on VGG16 (Liu et al. 2016) of torchvision, and its relative with 3,000 boxes.

torchvision is imported where a network is made: it takes a second.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from tune_kd.models.detectors.boxes import LITE300, SSD300
from tune_kd.models.detectors.detector import Detector, Stages

EXTRAS = ((256, 512), (128, 256), (128, 256), (128, 256), (128, 256))
"""Channels inside and at the end of the stages that follow VGG16's fc7, in the network with 3,000 boxes."""


class _Maps(nn.Module):
    """A backbone of torchvision, whose feature maps come by their names."""

    def __init__(self, backbone: nn.Module) -> None:
        super().__init__()
        self.backbone = backbone

    def forward(self, x: Tensor) -> list[Tensor]:
        return list(self.backbone(x).values())


def ssd300(classes: int, image_size: int) -> nn.Module:
    """``torchvision.models.detection.ssd300_vgg16`` as it is: 8,732 boxes."""
    whole = _torchvision(classes)
    return Detector(_Maps(whole.backbone), whole.head, SSD300, image_size)


def ssd300_3000(classes: int, image_size: int) -> nn.Module:
    """VGG16 to fc7, then stages of a 1×1 and a 3×3 convolution of stride 2: 3,000 boxes, none on conv4_3."""
    from torchvision.models.detection.ssd import SSDHead

    backbone = _torchvision(classes).backbone
    to_fc7 = nn.Sequential(backbone.features, backbone.extra[0])
    channels = [1024, *(outputs for _, outputs in EXTRAS)]
    extras = [_extra(before, *widths) for before, widths in zip(channels, EXTRAS, strict=False)]
    head = SSDHead(channels, LITE300.a_cell, classes)
    return Detector(Stages([to_fc7, *extras]), head, LITE300, image_size)


def _extra(inputs: int, inside: int, outputs: int) -> nn.Module:
    narrow, wide = nn.Conv2d(inputs, inside, 1), nn.Conv2d(inside, outputs, 3, stride=2, padding=1)
    for layer in (narrow, wide):  # as torchvision draws those of SSD300
        nn.init.xavier_uniform_(layer.weight)
        assert layer.bias is not None
        nn.init.zeros_(layer.bias)
    return nn.Sequential(narrow, nn.ReLU(inplace=True), wide, nn.ReLU(inplace=True))


def _torchvision(classes: int) -> Any:
    """Without weights, which would be downloaded, no stage is frozen."""
    from torchvision.models.detection import ssd300_vgg16

    return ssd300_vgg16(weights=None, weights_backbone=None, num_classes=classes)
