"""Distillation of a detector around torchvision's ``SSD.forward``: what the engine's speed is compared with.

torchvision's transforms in a DataLoader, float32, the teacher asked for every batch. Nothing of the engine's training
is used here. The student is a ``torchvision.models.detection.ssd.SSD``, which gives its own losses for images and
targets; a hook on its head gives the logits that distillation needs beside them. The teacher is called part by part,
because its ``forward`` would make detections of what it says, which nobody needs here.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from time import process_time

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, Dataset
from torchvision import tv_tensors
from torchvision.models.detection import ssd300_vgg16
from torchvision.models.detection.anchor_utils import DefaultBoxGenerator
from torchvision.models.detection.ssd import SSD
from torchvision.transforms import v2

from tune_kd.data.detection import DetectionSet
from tune_kd.models import detectors

SIZE = 300
Target = dict[str, Tensor]
Sample = tuple[Tensor, Target]


class Photographs(Dataset):
    """Images, decoded and augmented one by one as torchvision's references do it for SSDLite."""

    def __init__(self, part: DetectionSet, count: int) -> None:
        self.part, self.count = part, count
        self.transform = v2.Compose(
            [
                v2.RandomIoUCrop(),
                v2.SanitizeBoundingBoxes(),
                v2.RandomHorizontalFlip(),
                v2.ToDtype(torch.float32, scale=True),
                v2.ToPureTensor(),
            ]
        )

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> Sample:
        pixels, objects = tv_tensors.Image(self.part.pixels(index)), self.part.objects_of(index)
        kept = ~self.part.difficult[objects]
        boxes = tv_tensors.BoundingBoxes(
            torch.from_numpy(self.part.boxes[objects][kept]), format="XYXY", canvas_size=pixels.shape[-2:]
        )
        labels = torch.from_numpy(self.part.labels[objects][kept])
        done: Sample = self.transform(pixels, {"boxes": boxes, "labels": labels})
        return done


def loader(part: DetectionSet, *, count: int, batch: int, workers: int) -> DataLoader:
    """Shuffled batches of the first ``count`` images: a list of images and a list of targets each."""
    return DataLoader(
        Photographs(part, count), batch_size=batch, shuffle=True, num_workers=workers, collate_fn=_as_lists
    )


def _as_lists(samples: list[Sample]) -> tuple[list[Tensor], list[Target]]:
    images, targets = zip(*samples, strict=True)
    return list(images), list(targets)


def teacher(classes: int) -> SSD:
    """torchvision's SSD300 on VGG16, frozen."""
    made: SSD = ssd300_vgg16(weights=None, weights_backbone=None, num_classes=classes)
    return made.eval().requires_grad_(False)


def student(classes: int) -> SSD:
    """The engine's SSDLite on MobileNetV2 as the parts of a torchvision ``SSD`` with the boxes of SSD300."""
    net = detectors.build("ssdlite-mobilenetv2", classes=classes, image_size=SIZE)
    boxes = DefaultBoxGenerator(
        [[2], [2, 3], [2, 3], [2, 3], [2], [2]],
        scales=[0.07, 0.15, 0.33, 0.51, 0.69, 0.87, 1.05],
        steps=[8, 16, 32, 64, 100, 300],
    )
    return SSD(_ByName(net.features), boxes, (SIZE, SIZE), classes, head=net.head)


class _ByName(nn.Module):
    """Feature maps under names, as ``SSD`` wants them of its backbone."""

    def __init__(self, maps: nn.Module) -> None:
        super().__init__()
        self.maps = maps

    def forward(self, images: Tensor) -> OrderedDict[str, Tensor]:
        return OrderedDict((str(place), one) for place, one in enumerate(self.maps(images)))


@dataclass
class Seconds:
    """CPU seconds of this process, by what they were spent on."""

    parts: dict[str, float] = field(default_factory=lambda: dict.fromkeys(("batches", "teacher", "student"), 0.0))

    @contextmanager
    def of(self, part: str) -> Iterator[None]:
        before = process_time()
        yield
        self.parts[part] += process_time() - before


def train_epoch(
    student: SSD,
    teacher: SSD,
    batches: Iterable[tuple[list[Tensor], list[Target]]],
    optimizer: torch.optim.Optimizer,
    *,
    tau: float,
    alpha: float,
) -> Seconds:
    """One optimizer step a batch; what it was spent on."""
    student.train()
    spent, said, batches = Seconds(), [], iter(batches)
    hook = student.head.register_forward_hook(lambda _, __, outputs: said.append(outputs["cls_logits"]))
    while True:
        with spent.of("batches"):
            images, targets = next(batches, (None, None))
        if images is None:
            break
        with spent.of("teacher"), torch.no_grad():
            resized = teacher.transform(images)[0].tensors
            teacher_logits = teacher.head(list(teacher.backbone(resized).values()))["cls_logits"]
        with spent.of("student"):
            losses = student(images, targets)
            soft = distillation(said.pop(), teacher_logits, tau)
            loss = alpha * soft + (1 - alpha) * losses["classification"] + losses["bbox_regression"]
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    hook.remove()
    return spent


def distillation(student_logits: Tensor, teacher_logits: Tensor, tau: float) -> Tensor:
    """τ²·KL(teacher ‖ student), the mean over all boxes of logits [B, A, n]."""
    log_student, log_teacher = (
        F.log_softmax(logits.flatten(end_dim=1) / tau, dim=1) for logits in (student_logits, teacher_logits)
    )
    return tau**2 * F.kl_div(log_student, log_teacher, reduction="batchmean", log_target=True)
