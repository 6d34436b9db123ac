"""Which default box is trained on which object."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from tune_kd.data.detection.objects import Objects
from tune_kd.tasks.detection.parts import ssd


class Targets(NamedTuple):
    """What every default box of every image is trained on."""

    classes: Tensor  # int64 [B, A]; 0 is the background
    regressions: Tensor  # float32 [B, A, 4]: the object as an offset from its default box; 0 for the background


def match(objects: Objects, boxes: Tensor) -> Targets:
    """The targets of the default ``boxes``, float [A, 4]. Difficult objects are left out: nothing is trained on them.

    A box belongs to the object with which its IoU is largest, if that is at least 0.5 or the box is the object's best.
    """
    from torchvision.ops import box_iou

    easy = [~difficult for difficult in objects.difficult]
    labels = [label[kept] for label, kept in zip(objects.labels, easy, strict=True)]
    places = torch.cat([box[kept] for box, kept in zip(objects.boxes, easy, strict=True)])
    shape = (len(labels), len(boxes))
    if not len(places):
        return Targets(
            torch.zeros(shape, dtype=torch.int64, device=boxes.device), torch.zeros(*shape, 4, device=boxes.device)
        )
    owner = _owners(box_iou(places, boxes), [len(label) for label in labels])
    found, owner = owner >= 0, owner.clamp(min=0)
    coded = ssd().box_coder.encode_single(places[owner].flatten(end_dim=1), boxes.repeat(len(labels), 1))
    return Targets(
        torch.where(found, torch.cat(labels)[owner], 0), torch.where(found[..., None], coded.view(*shape, 4), 0)
    )


def _owners(overlaps: Tensor, counts: list[int]) -> Tensor:
    """The object of each box, int64 [B, A], −1 for none, of IoUs [k, A]: image by image so many ``counts`` of the k."""
    owners, first = [], 0
    for overlap in overlaps.split(counts):
        if len(overlap):
            index = ssd().proposal_matcher(overlap)
            owners.append(torch.where(index >= 0, index + first, -1))
        else:
            owners.append(torch.full((overlaps.shape[1],), -1, dtype=torch.int64, device=overlaps.device))
        first += len(overlap)
    return torch.stack(owners)
