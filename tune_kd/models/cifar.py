"""torchvision's ImageNet networks with the stem that 32×32 images need: less downsampling at the start.

torchvision is imported where a network is made: it takes a second, and the catalogue's names must not.
"""

from __future__ import annotations

from typing import Any

from torch import nn


def resnet18(classes: int, channels: int, _image_size: int) -> nn.Module:
    """ResNet-18 (He et al. 2016), the first convolution 3×3 with stride 1, no max-pooling."""
    net = _torchvision("resnet18", classes)
    net.conv1 = _stem(channels, 64)
    net.maxpool = nn.Identity()
    return net


def mobilenetv2(classes: int, channels: int, _image_size: int) -> nn.Module:
    """MobileNetV2 (Sandler et al. 2018), stride 1 in the stem and in the first block that widens."""
    net = _torchvision("mobilenet_v2", classes)
    net.features[0][0] = _stem(channels, 32)
    net.features[2].conv[1][0].stride = (1, 1)
    return net


def shufflenetv2(classes: int, channels: int, _image_size: int) -> nn.Module:
    """ShuffleNetV2 ×1.0 (Ma et al. 2018), the first convolution with stride 1, no max-pooling."""
    net = _torchvision("shufflenet_v2_x1_0", classes)
    net.conv1[0] = _stem(channels, 24)
    net.maxpool = nn.Identity()
    return net


def _torchvision(name: str, classes: int) -> Any:
    from torchvision import models

    return models.get_model(name, weights=None, num_classes=classes)


def _stem(channels: int, width: int) -> nn.Conv2d:
    """A first convolution that keeps the image's size, its weights drawn as torchvision draws them."""
    stem = nn.Conv2d(channels, width, 3, stride=1, padding=1, bias=False)
    nn.init.kaiming_normal_(stem.weight, mode="fan_out", nonlinearity="relu")
    return stem
