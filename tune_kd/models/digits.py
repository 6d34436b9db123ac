"""A teacher and a student for the embedded 8×8 digits, made for a trial of about a second on one core.

Most of the teacher's parameters are in its hidden layer, where they cost few operations. The student describes an
image by five averages, too few to tell the digits apart with ease: what the teacher says matters, and at which τ.
"""

from __future__ import annotations

from torch import Tensor, nn


class GlobalAveragePool(nn.Module):
    """The mean over height and width: [B, C, H, W] → [B, C]. One operation; AdaptiveAvgPool2d and Flatten are two."""

    def forward(self, x: Tensor) -> Tensor:
        return x.mean(dim=(2, 3))


def teacher(classes: int, channels: int, image_size: int) -> nn.Module:
    """Two convolutions with batch norm, then one hidden layer: 78k parameters for 8×8 images in 10 classes."""
    return nn.Sequential(
        nn.Conv2d(channels, 32, 3, padding=1, bias=False),
        nn.BatchNorm2d(32),
        nn.ReLU(inplace=True),
        nn.MaxPool2d(2),
        nn.Conv2d(32, 64, 3, padding=1, bias=False),
        nn.BatchNorm2d(64),
        nn.ReLU(inplace=True),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(64 * (image_size // 4) ** 2, 222),
        nn.ReLU(inplace=True),
        nn.Linear(222, classes),
    )


def student(classes: int, channels: int, _image_size: int) -> nn.Module:
    """Two convolutions with batch norm and a linear classifier: 686 parameters for one channel and 10 classes."""
    return nn.Sequential(
        nn.Conv2d(channels, 11, 3, stride=2, padding=1, bias=False),
        nn.BatchNorm2d(11),
        nn.ReLU(inplace=True),
        nn.Conv2d(11, 5, 3, padding=1, bias=False),
        nn.BatchNorm2d(5),
        nn.ReLU(inplace=True),
        GlobalAveragePool(),
        nn.Linear(5, classes),
    )
