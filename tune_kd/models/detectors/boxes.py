"""Default boxes: what a detector's outputs are about, box by box.

Two networks say the same thing of the same box only if their default boxes are equal: the grids, the aspect ratios, the
scales, the steps and the order.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, kw_only=True)
class DefaultBoxes:
    """The settings of torchvision's ``DefaultBoxGenerator``, and the grids that a network's features have."""

    grids: tuple[int, ...]  # cells of a row and of a column, grid by grid
    ratios: tuple[tuple[int, ...], ...]  # each gives a lying and a standing box a cell, beside the two squares
    scales: tuple[float, ...]  # of the image's side, one more than there are grids
    steps: tuple[int, ...] | None = None  # pixels from cell to cell; None: the image's side divided by the grid

    @property
    def a_cell(self) -> list[int]:
        """How many boxes a cell has, grid by grid."""
        return [2 + 2 * len(ratios) for ratios in self.ratios]

    @property
    def count(self) -> int:
        """A, the number of boxes."""
        return sum(grid**2 * boxes for grid, boxes in zip(self.grids, self.a_cell, strict=True))

    def tensor(self, image_size: int) -> Tensor:
        """The boxes, float32 [A, 4]: x1, y1, x2, y2 in pixels of an image of that side; they may reach beyond it."""
        from torchvision.models.detection.anchor_utils import DefaultBoxGenerator
        from torchvision.models.detection.image_list import ImageList

        with torch.device("cpu"):  # the generator mixes it with whatever device is the default
            generator = DefaultBoxGenerator(
                [list(ratios) for ratios in self.ratios],
                scales=list(self.scales),
                steps=None if self.steps is None else list(self.steps),
            )
            image = ImageList(torch.empty(1, 3, image_size, image_size), [(image_size, image_size)])
            boxes: Tensor = generator(image, [torch.empty(1, 1, grid, grid) for grid in self.grids])[0]
        return boxes


SSD300 = DefaultBoxes(
    grids=(38, 19, 10, 5, 3, 1),
    ratios=((2,), (2, 3), (2, 3), (2, 3), (2,), (2,)),
    scales=(0.07, 0.15, 0.33, 0.51, 0.69, 0.87, 1.05),
    steps=(8, 16, 32, 64, 100, 300),
)
"""The 8,732 boxes of SSD300 (Liu et al. 2016), as ``torchvision.models.detection.ssd300_vgg16`` has them."""

LITE300 = DefaultBoxes(
    grids=(19, 10, 5, 3, 2, 1),
    ratios=((2, 3),) * 6,
    scales=(0.2, 0.35, 0.5, 0.65, 0.8, 0.95, 1.1),
    steps=(16, 32, 64, 100, 150, 300),
)
"""The 3,000 boxes of the published MobileNetV2 SSDLite at 300×300."""


def small(image_size: int) -> DefaultBoxes:
    """Boxes of a quarter to three quarters of a small image, four a cell, on grids of stride 8, 16 and 32."""
    grids = tuple(-(-image_size // stride) for stride in (8, 16, 32))
    return DefaultBoxes(grids=grids, ratios=((2,),) * 3, scales=(0.25, 0.4, 0.55, 0.75))
