"""SSDLite on MobileNetV2 (Sandler et al. 2018), built of torchvision's parts.

torchvision's own extractor takes MobileNetV3 alone, so its features are cut here. torchvision is imported where a
network is made: it takes a second.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn

from tune_kd.models.detectors.boxes import LITE300, SSD300, DefaultBoxes
from tune_kd.models.detectors.detector import Detector, Stages

STRIDE_16, STRIDE_32 = 7, 14
"""The blocks of MobileNetV2's features that begin these strides. Their expansion is the last map before it."""


def ssdlite(classes: int, image_size: int) -> nn.Module:
    """On the grids of SSD300: 8,732 boxes.

    Stride 8 has a map, too. The last extra stage has no padding, as that of VGG16, so that it goes from 3×3 to 1×1.
    """
    stages, channels = _backbone([STRIDE_16, STRIDE_32])
    widths = (512, 256, 256)
    extras = _extras(channels[-1], widths, last_padding=0)
    return _detector([*stages, *extras], [*channels, *widths], SSD300, classes, image_size)


def ssdlite_3000(classes: int, image_size: int) -> nn.Module:
    """As published: grids from stride 16 on, 3,000 boxes."""
    stages, channels = _backbone([STRIDE_32])
    widths = (512, 256, 256, 64)
    extras = _extras(channels[-1], widths)
    return _detector([*stages, *extras], [*channels, *widths], LITE300, classes, image_size)


def _detector(
    stages: Sequence[nn.Module], channels: list[int], boxes: DefaultBoxes, classes: int, image_size: int
) -> nn.Module:
    from torchvision.models.detection.ssdlite import SSDLiteHead

    head = SSDLiteHead(channels, boxes.a_cell, classes, nn.BatchNorm2d)
    return Detector(Stages(stages), head, boxes, image_size)


def _backbone(cuts: Sequence[int]) -> tuple[list[nn.Sequential], list[int]]:
    """MobileNetV2's features cut after the expansion of some blocks, and the channels of each piece."""
    from torchvision.models import mobilenet_v2

    features = mobilenet_v2(weights=None).features
    stages, channels, start = [], [], nn.Sequential()
    at = 0
    for cut in cuts:
        block = features[cut].conv
        stages.append(nn.Sequential(*start, *features[at:cut], block[0]))
        channels.append(block[0].out_channels)
        start, at = block[1:], cut + 1
    stages.append(nn.Sequential(*start, *features[at:]))
    return stages, [*channels, features[-1].out_channels]


def _extras(inputs: int, widths: Sequence[int], last_padding: int = 1) -> list[nn.Sequential]:
    """Stages of stride 2: a 1×1 convolution to half of the width, a depthwise 3×3, a 1×1 to the whole of it."""
    paddings = [*(1 for _ in widths[1:]), last_padding]
    return [_extra(*sizes) for sizes in zip([inputs, *widths[:-1]], widths, paddings, strict=True)]


def _extra(inputs: int, outputs: int, padding: int) -> nn.Sequential:
    from torchvision.ops import Conv2dNormActivation

    half = outputs // 2
    layers = nn.Sequential(
        Conv2dNormActivation(inputs, half, 1, activation_layer=nn.ReLU6),
        Conv2dNormActivation(half, half, 3, 2, padding, groups=half, activation_layer=nn.ReLU6),
        Conv2dNormActivation(half, outputs, 1, activation_layer=nn.ReLU6),
    )
    for layer in layers.modules():
        if isinstance(layer, nn.Conv2d):  # as torchvision draws the convolutions of MobileNetV2
            nn.init.kaiming_normal_(layer.weight, mode="fan_out")
    return layers
