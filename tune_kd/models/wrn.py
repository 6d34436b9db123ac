"""Wide residual networks (Zagoruyko & Komodakis 2016, arXiv 1605.07146), for which torchvision has no small variant."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn


class _Block(nn.Module):
    """Pre-activation basic block: two 3×3 convolutions, each after batch norm and ReLU."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.bn1 = nn.BatchNorm2d(inputs)
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        self.shortcut = None if inputs == outputs else nn.Conv2d(inputs, outputs, 1, stride, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        activated = F.relu(self.bn1(x))
        residual = self.conv2(F.relu(self.bn2(self.conv1(activated))))
        # A block that changes width projects the activated input, as the authors' code does.
        return residual + (x if self.shortcut is None else self.shortcut(activated))


class WideResNet(nn.Module):
    """WRN-``depth``-``width``: three groups of (depth − 4) / 6 blocks, 16, 32 and 64 times ``width`` channels wide."""

    def __init__(self, *, depth: int, width: int, classes: int, channels: int) -> None:
        super().__init__()
        blocks, rest = divmod(depth - 4, 6)
        if rest or blocks < 1:
            raise ValueError(f"the depth of a wide residual network is 6n + 4, got {depth}")
        self.stem = nn.Conv2d(channels, 16, 3, padding=1, bias=False)
        widths = [16, 16 * width, 32 * width, 64 * width]
        self.groups = nn.Sequential(
            *(
                _Block(widths[group] if block == 0 else widths[group + 1], widths[group + 1], stride)
                for group, first_stride in enumerate((1, 2, 2))
                for block, stride in enumerate([first_stride] + [1] * (blocks - 1))
            )
        )
        self.bn = nn.BatchNorm2d(widths[-1])
        self.classifier = nn.Linear(widths[-1], classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, x: Tensor) -> Tensor:
        """Logits [B, classes] of images [B, channels, H, W]."""
        features: Tensor = F.relu(self.bn(self.groups(self.stem(x))))
        return self.classifier(features.mean(dim=(2, 3)))
