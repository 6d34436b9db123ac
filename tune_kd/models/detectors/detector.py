"""A detector of one stage: features on several grids, and a head that looks at each of them."""

from __future__ import annotations

from collections.abc import Iterable

from torch import Tensor, nn

from tune_kd.models.detectors.boxes import DefaultBoxes


class Detector(nn.Module):
    """Features, a list of [B, C, H, W], and a head of torchvision, ``SSDHead`` or ``SSDLiteHead``, over all of them."""

    default_boxes: Tensor  # float32 [A, 4]: x1, y1, x2, y2 in pixels of the network's input

    def __init__(self, features: nn.Module, head: nn.Module, boxes: DefaultBoxes, image_size: int) -> None:
        super().__init__()
        self.features, self.head = features, head
        # They follow from the network's name: a checkpoint need not keep them.
        self.register_buffer("default_boxes", boxes.tensor(image_size), persistent=False)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Class logits [B, A, n] and box regressions [B, A, 4] of normalised images [B, 3, S, S].

        They are the same in training and evaluation mode, but for batch norm. Class 0 is the background. A regression
        is the offset from the default box as torchvision's ``BoxCoder`` writes it.
        """
        said = self.head(self.features(images))
        return said["cls_logits"], said["bbox_regression"]


class Stages(nn.Module):
    """Stages one after the other; what each of them gives is a feature map."""

    def __init__(self, stages: Iterable[nn.Module]) -> None:
        super().__init__()
        self.stages = nn.ModuleList(stages)

    def forward(self, x: Tensor) -> list[Tensor]:
        """The feature maps, [B, C, H, W] each, of images [B, 3, S, S]."""
        maps = []
        for stage in self.stages:
            x = stage(x)
            maps.append(x)
        return maps
