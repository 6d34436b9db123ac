"""Batches of images with boxes: decoded beside the training step, augmented on the device.

The stream of an epoch, order and augmentation, is a pure function of (seed, epoch). Each image has a seed of its own in
it, so that its augmentation depends neither on the batch that it is in nor on the images before it.
"""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch
from torch import Tensor

from tune_kd.data.batches import Batch, channels_last, normalising, steps_per_epoch
from tune_kd.data.detection.augmentation import Sample, augmentation, augmented
from tune_kd.data.detection.detection_set import DetectionSet
from tune_kd.data.detection.objects import Objects
from tune_kd.data.shared_memory import from_shared
from tune_kd.errors import InputError

_BATCHES_AHEAD = 2  # decoded while the one before is trained on


class DeviceDetections:
    """A :class:`DetectionSet`, encoded on the CPU, whose batches are made on ``device``."""

    def __init__(self, detections: DetectionSet, device: torch.device | str) -> None:
        self.detections = detections
        self.device = torch.device(device)
        self._boxes, self._labels, self._difficult = (
            from_shared(array) for array in (detections.boxes, detections.labels, detections.difficult)
        )

    def __len__(self) -> int:
        return len(self.detections)

    def sample(self, index: int, pixels: Tensor) -> Sample:
        """Image ``index``, its ``pixels`` on the device, its objects where they are drawn upon: on the CPU."""
        here = self.detections.objects_of(index)
        return {
            "image": pixels.to(self.device, non_blocking=True),
            "boxes": self._boxes[here],
            "labels": self._labels[here],
            "difficult": self._difficult[here],
        }


def epoch_batches(
    part: DeviceDetections,
    *,
    image_size: int,
    batch_size: int,
    seed: int,
    epoch: int,
    preset: str,
    mean: Sequence[float],
    std: Sequence[float],
    endless: bool = False,
) -> Iterator[Batch[Objects]]:
    """The training batches of ``epoch``: every image once, in random order, augmented, scaled and normalised.

    ``preset`` is one of :data:`tune_kd.data.detection.augmentation.PRESETS`. A trailing batch of a single image is
    dropped: batch norm has no variance to normalise it by. ``endless`` gives the same batches over and over. Raises
    InputError for a ``batch_size`` below 2 and an unknown preset.
    """
    if batch_size < 2:
        raise InputError(f"batch_size must be ≥ 2 (batch norm cannot train on one image), got {batch_size}")
    transforms = augmentation(preset, image_size, [255 * centre for centre in mean])
    order, seeds = _draw_epoch(len(part), seed, epoch)
    batches = order.split(batch_size)[: steps_per_epoch(len(part), batch_size)]
    return _batches(part, itertools.cycle(batches) if endless else batches, transforms, seeds, mean, std)


def eval_batches(
    part: DeviceDetections, *, image_size: int, batch_size: int, mean: Sequence[float], std: Sequence[float]
) -> Iterator[Batch[Objects]]:
    """All images in their order, scaled and normalised as :func:`epoch_batches` does it, not augmented."""
    transforms = augmentation("none", image_size, ())
    order = torch.arange(len(part))
    return _batches(part, order.split(batch_size), transforms, torch.zeros_like(order), mean, std)


def _batches(
    part: DeviceDetections,
    batches: Iterable[Tensor],
    transforms: Callable[[Sample], Sample],
    seeds: Tensor,
    mean: Sequence[float],
    std: Sequence[float],
) -> Iterator[Batch[Objects]]:
    """A batch for each of ``batches``, indices int64 [B]; image i is augmented with ``seeds[i]``, int64 [N]."""
    scale, shift = normalising(mean, std, part.device)
    for index, pixels in _decoded_ahead(part.detections, batches):
        samples = [
            augmented(part.sample(one, image), transforms, int(seeds[one]))
            for one, image in zip(index.tolist(), pixels, strict=True)
        ]
        images = torch.stack([sample["image"] for sample in samples]).float() * scale + shift
        yield Batch(channels_last(images), _objects(samples, part.device), index.to(part.device))


def _decoded_ahead(part: DetectionSet, batches: Iterable[Tensor]) -> Iterator[tuple[Tensor, list[Tensor]]]:
    """Each batch of indices with its decoded images; those of the next ones are decoded meanwhile.

    Threads do: PIL releases the GIL while it decodes. They draw nothing.
    """
    waiting: deque[tuple[Tensor, Iterator[Tensor]]] = deque()
    with ThreadPoolExecutor(torch.get_num_threads()) as threads:
        for index in batches:
            waiting.append((index, threads.map(part.pixels, index.tolist())))
            if len(waiting) > _BATCHES_AHEAD:
                first, decoded = waiting.popleft()
                yield first, list(decoded)
        for index, decoded in waiting:
            yield index, list(decoded)


def _objects(samples: Sequence[Sample], device: torch.device) -> Objects:
    """The objects of a batch, one copy to the device for each kind of value."""
    counts = [len(sample["labels"]) for sample in samples]
    boxes, labels, difficult = (
        torch.cat([sample[name] for sample in samples]).to(device, non_blocking=True).split(counts)
        for name in ("boxes", "labels", "difficult")
    )
    return Objects(boxes, labels, difficult)


def _draw_epoch(count: int, seed: int, epoch: int) -> tuple[Tensor, Tensor]:
    """The order of the images and a seed for each image by its index, both int64 [N]."""
    generator = torch.Generator().manual_seed(int(np.random.SeedSequence([seed, epoch]).generate_state(1)[0]))
    order = torch.randperm(count, generator=generator)
    return order, torch.randint(2**62, (count,), generator=generator)
