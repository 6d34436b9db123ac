"""Batches of images with boxes: the same in every process, augmented as torchvision does it."""

from __future__ import annotations

import hashlib
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any

import numpy as np
import pytest
import torch
from detections import detection_set
from hypothesis import given, settings
from hypothesis import strategies as st
from pictures import picture, png
from PIL import Image
from torch import Tensor
from torch.nn import functional as F
from torchvision.ops import box_iou

from tune_kd.data.batches import Batch, steps_per_epoch
from tune_kd.data.detection.augmentation import PRESETS
from tune_kd.data.detection.batches import DeviceDetections, epoch_batches, eval_batches
from tune_kd.data.detection.detection_set import DetectionSet
from tune_kd.data.detection.objects import Objects
from tune_kd.errors import InputError

torch.set_num_threads(1)
MEAN, STD = (0.5, 0.4, 0.3), (0.2, 0.25, 0.3)
SIZE = 32
Stream = Sequence[Batch[Objects]]


def stream(part: DetectionSet, **changes: Any) -> Iterator[Batch[Objects]]:
    usual: dict[str, Any] = {"batch_size": 4, "seed": 1, "epoch": 0, "preset": "ssd", "image_size": SIZE}
    device = changes.pop("device", "cpu")
    return epoch_batches(DeviceDetections(part, device), **(usual | {"mean": MEAN, "std": STD} | changes))


def batches(count: int = 7, **changes: Any) -> Stream:
    return list(stream(detection_set(count), **changes))


def digest(found: Stream) -> str:
    """A hash of every bit of a stream."""
    tensors = [tensor for batch in found for tensor in (batch.images, batch.index, *sum(batch.labels, ()))]
    contents = [f"{tensor.dtype}{list(tensor.shape)}".encode() + tensor.numpy().tobytes() for tensor in tensors]
    return hashlib.sha256(b"".join(contents)).hexdigest()


def pixels(batch: Batch[Objects]) -> Tensor:
    """A batch's images as they were before normalisation, in 0..255."""
    return 255 * (batch.images * torch.tensor(STD)[:, None, None] + torch.tensor(MEAN)[:, None, None])


def square(size: int, boxes: Sequence[Sequence[float]], seed: int = 0) -> DetectionSet:
    """Two equal images of noise of so many pixels, with these boxes of classes 1, 2, …"""
    labels = np.arange(len(boxes)) + 1
    return DetectionSet.of(
        [png(picture(seed, (size, size)))] * 2,
        [np.array(boxes, np.float32).reshape(-1, 4)] * 2,
        [labels] * 2,
        [labels % 2 == 0] * 2,
    )


# Which stream


def test_a_batch_is_what_the_networks_and_the_losses_are_promised() -> None:
    for batch in batches():
        count = len(batch.index)
        assert (batch.images.dtype, batch.images.shape) == (torch.float32, (count, 3, SIZE, SIZE))
        assert batch.images.is_contiguous(memory_format=torch.channels_last)
        boxes, labels, difficult = batch.labels
        assert len(boxes) == len(labels) == len(difficult) == count
        for each, label, hard in zip(boxes, labels, difficult, strict=True):
            assert (each.dtype, label.dtype, hard.dtype) == (torch.float32, torch.int64, torch.bool)
            assert each.shape == (len(label), 4)
            assert hard.shape == label.shape
            assert type(each) is Tensor


@pytest.mark.parametrize("preset", PRESETS)
def test_the_stream_is_a_function_of_seed_and_epoch(preset: str) -> None:
    torch.manual_seed(0)
    first = batches(preset=preset)
    torch.manual_seed(1)  # the global generators have no say
    np.random.seed(1)
    state = torch.get_rng_state()
    assert digest(batches(preset=preset)) == digest(first)
    assert torch.equal(torch.get_rng_state(), state), "and are left as they were"


def test_the_stream_is_the_same_in_another_process_and_with_more_threads() -> None:
    here = digest(batches())
    program = (
        "import torch; torch.set_num_threads(2); torch.rand(9);"
        "from test_detection_batches import batches, digest; torch.set_num_threads(2); print(digest(batches()))"
    )
    paths = [str(folder) for folder in sys.path if "tests" in folder] + [__file__.rpartition("/")[0]]
    program = f"import sys; sys.path += {paths!r}; {program}"
    there = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert there.stdout.strip() == here


@pytest.mark.parametrize("change", [{"epoch": 1}, {"seed": 2}, {"seed": 0, "epoch": 1}])
def test_another_seed_or_epoch_gives_another_stream(change: dict[str, int]) -> None:
    assert digest(batches()) != digest(batches(**change))


def test_an_image_is_augmented_alike_in_batches_of_any_size_and_order_is_that_of_any_augmentation() -> None:
    fours, sevens = batches(batch_size=4), batches(12, batch_size=6)
    assert [batch.index.tolist() for batch in fours] == [batch.index.tolist() for batch in batches(preset="none")]
    by_six = {int(index): image for batch in sevens for index, image in zip(batch.index, batch.images, strict=True)}
    for batch in batches(12, batch_size=4):
        for index, image in zip(batch.index, batch.images, strict=True):
            assert torch.equal(image, by_six[int(index)])


@settings(deadline=None, max_examples=25)
@given(count=st.integers(2, 20), batch_size=st.integers(2, 7), epoch=st.integers(0, 3))
def test_an_epoch_has_every_image_once_but_a_lone_last_one(count: int, batch_size: int, epoch: int) -> None:
    found = batches(count, batch_size=batch_size, epoch=epoch, preset="none")
    seen = torch.cat([batch.index for batch in found]).tolist()
    assert len(seen) == len(set(seen)) == count - (count % batch_size == 1)
    assert len(found) == steps_per_epoch(count, batch_size)


def test_an_endless_stream_is_the_epoch_over_and_over() -> None:
    once = batches(9)
    assert digest(list(islice(stream(detection_set(9), endless=True), 2 * len(once)))) == digest([*once, *once])


def test_what_cannot_be_is_refused_before_a_batch_is_made() -> None:
    with pytest.raises(InputError, match=r"batch_size must be ≥ 2 .*, got 1"):
        stream(detection_set(2), batch_size=1)
    with pytest.raises(InputError, match=r"unknown augmentation 'sdd'; did you mean 'ssd'\? choices: none, ssd"):
        stream(detection_set(2), preset="sdd")


# What is in a batch


def test_evaluation_has_all_images_in_order_scaled_with_their_boxes() -> None:
    part = detection_set(7)
    found = list(eval_batches(DeviceDetections(part, "cpu"), image_size=SIZE, batch_size=3, mean=MEAN, std=STD))
    assert torch.cat([batch.index for batch in found]).tolist() == list(range(7))
    images = torch.cat([pixels(batch) for batch in found])
    boxes, labels, difficult = (sum((batch.labels[field] for batch in found), ()) for field in range(3))
    for index in range(7):
        original, here = part.pixels(index), part.objects_of(index)
        height, width = original.shape[1:]
        scaled = F.interpolate(original[None].float(), (SIZE, SIZE), mode="bilinear", antialias=True)[0]
        assert (images[index] - scaled).abs().max() < 1.01, "rounded to 8 bits by torchvision"
        factor = np.array([SIZE / width, SIZE / height] * 2)
        np.testing.assert_allclose(boxes[index], part.boxes[here] * factor, rtol=1e-5)
        assert labels[index].tolist() == part.labels[here].tolist()
        assert difficult[index].tolist() == part.difficult[here].tolist()


def test_pixels_are_normalised_by_mean_and_deviation() -> None:
    part = square(SIZE, [[0, 0, 8, 8]])
    [batch] = stream(part, preset="none")
    expected = (part.pixels(0).double() / 255 - torch.tensor(MEAN)[:, None, None]) / torch.tensor(STD)[:, None, None]
    assert (batch.images[0] - expected).abs().max() < 1e-5


@pytest.mark.parametrize("preset", ["ssdlite", "ssd"])
def test_boxes_stay_inside_with_an_area_and_with_their_own_label(preset: str) -> None:
    part = detection_set(24)
    seen = {epoch: list(stream(part, epoch=epoch, preset=preset)) for epoch in range(2)}
    removed = 0
    for batch in (batch for found in seen.values() for batch in found):
        for index, boxes, labels, difficult in zip(batch.index.tolist(), *batch.labels, strict=True):
            assert (boxes[:, :2] < boxes[:, 2:]).all()
            assert boxes.numel() == 0 or (boxes.min() >= 0 and boxes.max() <= SIZE)
            here = part.objects_of(index)
            kinds = list(zip(part.labels[here].tolist(), part.difficult[here].tolist(), strict=True))
            for kind in zip(labels.tolist(), difficult.tolist(), strict=True):
                kinds.remove(kind)  # each is one of the image's own
            removed += len(kinds)
            assert len(boxes) or here.start == here.stop, "a crop keeps an object"
    assert removed > 0, "what is cut off is removed"


def with_a_block() -> DetectionSet:
    """Two images of 64×64 pixels, black but for a bright block that fills the box of its object exactly."""
    pixels = np.zeros((64, 64, 3), np.uint8)
    pixels[20:40, 8:32] = 255
    return like(png(Image.fromarray(pixels)), [8, 20, 32, 40])


def like(content: bytes, box: Sequence[float]) -> DetectionSet:
    """Twice the same image with one object of class 1."""
    return DetectionSet.of(
        [content] * 2, [np.array([box], np.float32)] * 2, [np.array([1])] * 2, [np.array([False])] * 2
    )


@pytest.mark.parametrize("preset", ["ssdlite", "ssd"])
def test_a_box_moves_with_what_it_is_around(preset: str) -> None:
    bright, ious = 0, []
    for epoch in range(12):
        for batch in stream(with_a_block(), image_size=64, epoch=epoch, preset=preset, mean=(0.0,) * 3, std=(1.0,) * 3):
            for image, boxes in zip(batch.images, batch.labels.boxes, strict=True):
                rows, columns = (image.amax(dim=0) > image.max() / 2).nonzero(as_tuple=True)
                around = torch.stack([columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]).float()
                ious.append(float(box_iou(around[None], boxes)))
                bright += 1
    assert bright == 24
    assert min(ious) > 0.7, ious
    assert sum(ious) / len(ious) > 0.9


def test_every_other_image_is_mirrored_and_none_without_augmentation() -> None:
    brighter_to_the_right = np.tile(np.arange(0, 240, 5, dtype=np.uint8), (48, 1))
    part = like(png(Image.fromarray(brighter_to_the_right).convert("RGB")), [0, 0, 48, 48])
    mirrored = {
        preset: [
            bool(image[0, :, 0].mean() > image[0, :, -1].mean())
            for epoch in range(24)
            for batch in stream(part, epoch=epoch, preset=preset)
            for image in batch.images
        ]
        for preset in ("none", "ssdlite")
    }
    assert sum(mirrored["none"]) == 0
    assert 12 <= sum(mirrored["ssdlite"]) <= 36, "a fair coin leaves this range once in 4,000 times"


def test_zooming_out_puts_the_mean_around_the_image() -> None:
    black = like(png(Image.new("RGB", (32, 32))), [0, 0, 32, 32])
    smallest = 1.0
    for epoch in range(20):
        [batch] = stream(black, epoch=epoch)
        for image, boxes in zip(batch.images, batch.labels.boxes, strict=True):
            [[left, top, right, bottom]] = boxes.tolist()
            smallest = min(smallest, (right - left) * (bottom - top) / SIZE**2)
            outside = image.clone()
            outside[:, max(int(top) - 1, 0) : int(bottom) + 2, max(int(left) - 1, 0) : int(right) + 2] = 0
            assert outside.abs().max() < 0.02, "normalised to zero"
    assert smallest < 0.5


def test_a_batch_whose_images_have_no_object_is_one_too() -> None:
    [batch] = stream(square(40, []))
    assert [len(each) for each in batch.labels.boxes] == [0, 0]
    assert batch.labels.boxes[0].shape == (0, 4)


def test_a_stream_that_is_left_early_ends_its_threads() -> None:
    before = threading.active_count()
    begun = stream(detection_set(30), endless=True)
    next(begun)
    begun.close()  # type: ignore[attr-defined]
    assert threading.active_count() == before


@pytest.mark.gpu
@pytest.mark.parametrize("preset", PRESETS)
def test_a_gpu_gets_the_same_boxes_and_pixels(preset: str) -> None:
    if not torch.cuda.is_available():
        pytest.skip("no GPU here")
    for here, there in zip(batches(preset=preset), batches(preset=preset, device="cuda"), strict=True):
        assert there.index.tolist() == here.index.tolist()
        for ours, theirs in zip(sum(here.labels, ()), sum(there.labels, ()), strict=True):
            assert theirs.is_cuda
            assert torch.equal(theirs.cpu(), ours)
        assert (pixels(there._replace(images=there.images.cpu())) - pixels(here)).abs().mean() < 1
