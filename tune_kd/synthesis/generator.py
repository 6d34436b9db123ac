"""The network that noise becomes images in."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

SLOPE = 0.2


class Generator(nn.Module):
    """Noise [B, noise] to images [B, C, size, size] in 0..1: two doublings of a quarter of the side (Fang et al. 2021).

    The first layers have ``width`` channels, the last has half of them. Weights are drawn from torch's global
    generator, those of convolutions and the linear layer with a standard deviation of 0.02.
    """

    def __init__(self, *, noise: int, width: int, channels: int, image_size: int) -> None:
        super().__init__()
        self.width, self.size, self.start = width, image_size, max(1, image_size // 4)
        half = max(1, width // 2)
        self.grown = nn.Linear(noise, width * self.start**2)
        self.first = nn.BatchNorm2d(width)
        self.middle = nn.Sequential(
            nn.Conv2d(width, width, 3, padding=1), nn.BatchNorm2d(width), nn.LeakyReLU(SLOPE, inplace=True)
        )
        self.last = nn.Sequential(
            nn.Conv2d(width, half, 3, padding=1),
            nn.BatchNorm2d(half),
            nn.LeakyReLU(SLOPE, inplace=True),
            nn.Conv2d(half, channels, 3, padding=1),
            nn.Sigmoid(),
        )
        for module in self.modules():
            if isinstance(module, nn.Conv2d | nn.Linear):
                nn.init.normal_(module.weight, std=0.02)
                assert module.bias is not None
                nn.init.zeros_(module.bias)

    def forward(self, noise: Tensor) -> Tensor:
        small = self.first(self.grown(noise).view(-1, self.width, self.start, self.start))
        half = self.middle(F.interpolate(small, size=2 * [max(1, self.size // 2)]))
        images: Tensor = self.last(F.interpolate(half, size=2 * [self.size]))
        return images
