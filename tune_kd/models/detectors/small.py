"""A teacher and a student for the embedded scenes of 64×64 to 96×96 pixels: steps of milliseconds on one core.

The teacher is made of plain convolutions, as SSD300 is; the student of MobileNetV2's blocks, as SSDLite is.
"""

from __future__ import annotations

from torch import nn

from tune_kd.models.detectors import boxes
from tune_kd.models.detectors.detector import Detector, Stages


def ssd(classes: int, image_size: int) -> nn.Module:
    """Convolutions with batch norm to stride 8, 16 and 32, and a head of 3×3 convolutions."""
    from torchvision.models.detection.ssd import SSDHead
    from torchvision.ops import Conv2dNormActivation as Conv

    stages = [
        nn.Sequential(Conv(3, 32, 3, stride=2), Conv(32, 48, 3, stride=2), Conv(48, 96, 3, stride=2), Conv(96, 96, 3)),
        Conv(96, 96, 3, stride=2),
        Conv(96, 96, 3, stride=2),
    ]
    grid = boxes.small(image_size)
    return Detector(Stages(stages), SSDHead([96, 96, 96], grid.a_cell, classes), grid, image_size)


def ssdlite(classes: int, image_size: int) -> nn.Module:
    """Thin inverted residuals to the same strides, and a head of depthwise separable convolutions."""
    from torchvision.models.detection.ssdlite import SSDLiteHead
    from torchvision.models.mobilenetv2 import InvertedResidual as Block
    from torchvision.ops import Conv2dNormActivation as Conv

    stages = [
        nn.Sequential(Conv(3, 8, 3, stride=2), Block(8, 16, 2, 2), Block(16, 32, 2, 2)),
        Block(32, 32, 2, 2),
        Block(32, 32, 2, 2),
    ]
    grid = boxes.small(image_size)
    head = SSDLiteHead([32, 32, 32], grid.a_cell, classes, nn.BatchNorm2d)
    return Detector(Stages(stages), head, grid, image_size)
