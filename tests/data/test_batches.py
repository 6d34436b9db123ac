import itertools
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torchvision.transforms import InterpolationMode
from torchvision.transforms import functional as transforms

from tune_kd.data import ImageSet
from tune_kd.data.batches import (
    Augmentation,
    Batch,
    DeviceImages,
    crop,
    epoch_batches,
    eval_batches,
    flip,
    rotate,
    steps_per_epoch,
)
from tune_kd.errors import InputError

torch.set_num_threads(1)
PLAIN = Augmentation()
FULL = Augmentation(flip=True, crop_padding=4, rotation_degrees=15)
MEAN, STD = (0.5, 0.4, 0.3), (0.2, 0.25, 0.3)


def image_set(count: int, size: int = 8) -> ImageSet:
    rng = np.random.default_rng(0)
    return ImageSet(images=rng.integers(0, 256, (count, 3, size, size), np.uint8), labels=np.arange(count))


def batches(count: int = 21, **changes: Any) -> list[Batch]:
    arguments: dict[str, Any] = {"batch_size": 8, "seed": 1, "epoch": 0, "augmentation": FULL, "mean": MEAN, "std": STD}
    return list(epoch_batches(DeviceImages(image_set(count), "cpu"), **(arguments | changes)))


def same(one: Sequence[Batch], other: Sequence[Batch]) -> bool:
    """Are images, labels and indices equal? A classifier's batch has nothing else."""
    return len(one) == len(other) and all(
        torch.equal(a, b) for x, y in zip(one, other, strict=True) for a, b in zip(x[:3], y[:3], strict=True)
    )


def photographs(count: int, size: int = 8) -> torch.Tensor:
    return torch.from_numpy(image_set(count, size).images)


def test_the_stream_is_a_function_of_seed_and_epoch() -> None:
    torch.manual_seed(0)
    first = batches()
    torch.manual_seed(1)  # the global generator has no say
    assert same(first, batches())


@pytest.mark.parametrize("change", [{"epoch": 1}, {"seed": 2}, {"seed": 0, "epoch": 1}])
def test_another_seed_or_epoch_gives_another_stream(change: dict[str, int]) -> None:
    assert not same(batches(), batches(**change))


def test_the_order_is_the_same_whatever_the_augmentation() -> None:
    for augmented, plain in zip(batches(), batches(augmentation=PLAIN), strict=True):
        assert torch.equal(augmented.index, plain.index)
        assert not torch.equal(augmented.images, plain.images)


@settings(deadline=None, max_examples=40)
@given(count=st.integers(2, 40), batch_size=st.integers(2, 12), epoch=st.integers(0, 5))
def test_an_epoch_has_every_image_once_but_a_lone_last_one(count: int, batch_size: int, epoch: int) -> None:
    stream = batches(count, batch_size=batch_size, epoch=epoch, augmentation=PLAIN)
    seen = torch.cat([batch.index for batch in stream]).tolist()
    lone = count % batch_size == 1
    assert len(seen) == len(set(seen)) == count - lone
    assert len(stream) == steps_per_epoch(count, batch_size)
    assert all(len(batch.index) >= 2 for batch in stream)


def test_an_endless_stream_is_the_epochs_over_and_over() -> None:
    device_images = DeviceImages(image_set(21), "cpu")
    endless = epoch_batches(
        device_images, batch_size=8, seed=1, epoch=0, augmentation=FULL, mean=MEAN, std=STD, endless=True
    )
    assert same(list(itertools.islice(endless, 7)), [*batches(), *batches(), batches()[0]])


def test_without_augmentation_a_batch_is_the_normalised_images() -> None:
    images = photographs(21)
    for batch in batches(augmentation=PLAIN):
        expected = transforms.normalize(images[batch.index].float() / 255, MEAN, STD)
        torch.testing.assert_close(batch.images, expected)
        assert torch.equal(batch.labels, batch.index)  # image i has the label i


def test_evaluation_takes_all_images_in_order() -> None:
    data = DeviceImages(image_set(17), "cpu")
    stream: Iterator[Batch] = eval_batches(data, batch_size=8, mean=MEAN, std=STD)
    images, labels, index = (torch.cat(column) for column in zip(*(batch[:3] for batch in stream), strict=True))
    torch.testing.assert_close(images, transforms.normalize(data.images.float() / 255, MEAN, STD))
    assert labels.tolist() == index.tolist() == list(range(17))


def test_a_flip_mirrors_the_chosen_images_and_twice_is_none() -> None:
    images, mirrored = photographs(6), torch.tensor([True, False, True, True, False, False])
    once = flip(images, mirrored)
    assert torch.equal(once[mirrored], transforms.hflip(images[mirrored]))
    assert torch.equal(once[~mirrored], images[~mirrored])
    assert torch.equal(flip(once, mirrored), images)


def test_a_crop_is_the_window_of_the_padded_image() -> None:
    images = photographs(30)
    top, left = torch.randint(0, 7, (2, 30), generator=torch.Generator().manual_seed(0))
    for image, y, x, cropped in zip(images, top, left, crop(images, top, left, 3), strict=True):
        expected = transforms.crop(transforms.pad(image, [3, 3, 3, 3]), int(y), int(x), 8, 8)
        assert torch.equal(cropped, expected)


@pytest.mark.parametrize("degrees", [-90.0, -14.0, 0.0, 3.5, 15.0, 180.0])
@pytest.mark.parametrize("shape", [(16, 16), (12, 20)])
def test_a_rotation_is_torchvisions(degrees: float, shape: tuple[int, int]) -> None:
    images = torch.rand(2, 3, *shape, generator=torch.Generator().manual_seed(0)) * 255
    expected = transforms.rotate(images, degrees, InterpolationMode.BILINEAR)
    rotated = rotate(images, torch.full((2,), degrees))
    # torchvision's fill blends at the border through a mask of its own: the inside is what must agree.
    inside = (..., slice(3, -3), slice(3, -3))
    torch.testing.assert_close(rotated[inside], expected[inside], atol=0.05, rtol=0)


def test_a_rotation_by_zero_changes_nothing() -> None:
    images = torch.rand(3, 1, 9, 9)
    torch.testing.assert_close(rotate(images, torch.zeros(3)), images, atol=1e-5, rtol=0)


def test_each_image_is_turned_by_its_own_angle() -> None:
    images = torch.rand(1, 1, 9, 9).expand(2, 1, 9, 9)
    turned = rotate(images, torch.tensor([90.0, -90.0]))
    torch.testing.assert_close(turned[0], turned[1].flip(1, 2), atol=1e-5, rtol=0)
    torch.testing.assert_close(turned[0], images[0].rot90(1, (1, 2)), atol=1e-5, rtol=0)


def test_the_draws_cover_their_range() -> None:
    marked = np.zeros((600, 1, 9, 9), np.uint8)
    marked[:, :, 4, 4] = 255
    data = DeviceImages(ImageSet(images=marked, labels=np.zeros(600, np.int64)), "cpu")
    (batch,) = epoch_batches(
        data, batch_size=600, seed=0, epoch=0, augmentation=Augmentation(crop_padding=2), mean=[0.0], std=[1.0]
    )
    spots = {(int(row), int(column)) for _, _, row, column in batch.images.nonzero()}
    assert spots == {(row, column) for row in range(2, 7) for column in range(2, 7)}


def test_read_only_images_are_shared_without_a_warning() -> None:
    data = image_set(4)
    data.images.flags.writeable = False
    assert DeviceImages(data, "cpu").images.data_ptr() == data.images.ctypes.data


@pytest.mark.parametrize(
    ("count", "batch_size", "steps"), [(16, 8, 2), (17, 8, 2), (18, 8, 3), (1, 8, 0), (2, 8, 1), (0, 8, 0)]
)
def test_steps_per_epoch(count: int, batch_size: int, steps: int) -> None:
    assert steps_per_epoch(count, batch_size) == steps


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"crop_padding": -1}, "crop_padding must be ≥ 0 pixels, got -1"),
        ({"rotation_degrees": -5.0}, "rotation_degrees must be from 0 to 180, got -5.0"),
        ({"rotation_degrees": float("nan")}, "rotation_degrees must be from 0 to 180, got nan"),
    ],
)
def test_an_augmentation_that_cannot_be_is_refused(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        Augmentation(**fields)


def test_batches_of_one_are_refused() -> None:
    with pytest.raises(InputError, match="batch_size must be ≥ 2"):
        batches(batch_size=1)
