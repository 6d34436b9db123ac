"""Images with labelled boxes in memory: one part (:class:`DetectionSet`) and the whole (:class:`DetectionData`).

Images stay encoded, as their files are. Decoded to the network's 300×300 pixels, the 16,551 training images of VOC take
4.5 GB; their files take about 1.6 GB, and a crop of augmentation still finds the photograph's full resolution. Decoding
one takes some 3 ms of a core, a fiftieth of SSDLite's training step there, and is done beside the step.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tune_kd.data.decode import open_image
from tune_kd.data.image_set import Channels
from tune_kd.data.listing import EncodedImage


@dataclass(frozen=True, kw_only=True)
class DetectionSet:
    """N encoded images and their M objects, each kind of value in one array: an object store shares it without copies.

    Image i is ``content[content_at[i] : content_at[i + 1]]``. Its objects are those from ``objects_at[i]`` to
    ``objects_at[i + 1]``. Boxes are in pixels of the image as it is encoded.
    """

    content: NDArray[np.uint8]  # [bytes], one file after the other
    content_at: NDArray[np.int64]  # [N + 1]
    boxes: NDArray[np.float32]  # [M, 4]: x1, y1, x2, y2; x1 < x2 ≤ the image's width
    labels: NDArray[np.int64]  # [M]: 1..n-1; 0 is the background
    difficult: NDArray[np.bool_]  # [M]
    objects_at: NDArray[np.int64]  # [N + 1]

    def __post_init__(self) -> None:
        count = len(self.labels)
        if self.boxes.shape != (count, 4) or self.difficult.shape != (count,):
            shapes = f"{list(self.boxes.shape)} and {list(self.difficult.shape)}"
            raise ValueError(f"boxes must be [{count}, 4] and difficult [{count}], got {shapes}")
        if len(self.content_at) != len(self.objects_at):
            raise ValueError(f"{len(self.content_at) - 1} images, objects of {len(self.objects_at) - 1}")

    @classmethod
    def of(
        cls,
        contents: Sequence[bytes],
        boxes: Sequence[NDArray[np.float32]],
        labels: Sequence[NDArray[np.int64]],
        difficult: Sequence[NDArray[np.bool_]],
    ) -> DetectionSet:
        """The set of images whose files, boxes [k, 4], labels [k] and flags [k] are given one by one."""
        return cls(
            content=np.frombuffer(b"".join(contents), np.uint8),
            content_at=_starts([len(content) for content in contents]),
            boxes=np.concatenate([np.empty((0, 4), np.float32), *boxes]),
            labels=np.concatenate([np.empty(0, np.int64), *labels]),
            difficult=np.concatenate([np.empty(0, np.bool_), *difficult]),
            objects_at=_starts([len(one) for one in labels]),
        )

    def __len__(self) -> int:
        return len(self.content_at) - 1

    def objects_of(self, index: int) -> slice:
        """Where the objects of image ``index`` are in boxes, labels and difficult."""
        return slice(int(self.objects_at[index]), int(self.objects_at[index + 1]))

    def pixels(self, index: int) -> Tensor:
        """Image ``index`` decoded, uint8 [3, height, width]."""
        encoded = self.content[self.content_at[index] : self.content_at[index + 1]].tobytes()
        pixels = np.array(open_image(EncodedImage(f"image {index}", encoded)))
        return torch.from_numpy(pixels).permute(2, 0, 1).contiguous()

    def take(self, indices: NDArray[np.int64]) -> DetectionSet:
        """The images at ``indices`` with their objects, in that order, in arrays of their own."""
        objects = [self.objects_of(int(index)) for index in indices]
        return DetectionSet.of(
            [self.content[self.content_at[index] : self.content_at[index + 1]].tobytes() for index in indices],
            [self.boxes[here] for here in objects],
            [self.labels[here] for here in objects],
            [self.difficult[here] for here in objects],
        )


@dataclass(frozen=True, kw_only=True)
class DetectionData:
    """A data set in three parts that share no image. ``train`` trains, ``validation`` chooses, ``test`` reports."""

    name: str
    classes: tuple[str, ...]  # classes[label - 1] is the label's name: label 0 is the background
    image_size: int  # height and width in pixels that the network gets
    train: DetectionSet
    validation: DetectionSet
    test: DetectionSet
    mean: Channels  # what is subtracted from each channel, in 0..1
    std: Channels  # what each channel is divided by
    skipped_images: int = 0  # image or annotation cannot be used, left out on request
    left_out: Mapping[str, int] = field(default_factory=dict)  # what else was left out, cut or is bare, by kind
    test_from: str = ""  # which images are the test set, for people
    notes: tuple[str, ...] = ()  # further remarks on the data set, a line each

    @property
    def channels(self) -> int:
        """3: all images are made RGB."""
        return 3

    @cached_property
    def split_sha256(self) -> str:
        """SHA-256 of size, images and objects of the three parts in order: equal exactly when the data is equal."""
        digest = hashlib.sha256(repr(self.image_size).encode())
        for part in (self.train, self.validation, self.test):
            for array in (part.content_at, part.content, part.objects_at, part.labels, part.boxes, part.difficult):
                digest.update(repr(array.shape).encode())
                digest.update(np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("<")).data)
        return digest.hexdigest()


def _starts(lengths: Sequence[int]) -> NDArray[np.int64]:
    return np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
