"""The embedded scenes: every digit of scikit-learn's set in one of them, in a box that fits it."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_digits

from tune_kd.data.detection import DetectionLoading, load
from tune_kd.data.detection.annotated import Annotated
from tune_kd.data.detection.digit_scenes import CANVAS, list_digit_scenes


@pytest.fixture(scope="module")
def scenes() -> list[Annotated]:
    return list(list_digit_scenes().train)


def canvas(scene: Annotated) -> np.ndarray:
    """Pixels, [height, width, 3]."""
    assert isinstance(scene.image.source, bytes)
    return np.asarray(Image.open(io.BytesIO(scene.image.source)), np.float64)


def test_every_digit_is_in_one_scene(scenes: list[Annotated]) -> None:
    names = [labelled.name for scene in scenes for labelled in scene.objects]
    assert np.array_equal(np.bincount([int(name) for name in names]), np.bincount(load_digits().target))
    assert len(scenes) == 910, "as docs/studies.md says"
    counts = np.bincount([len(scene.objects) for scene in scenes])
    assert len(counts) == 4
    assert counts[0] == 0
    assert (counts[1:] > len(scenes) / 5).all(), "about as many scenes with one digit as with two and three"


def test_boxes_are_inside_of_random_size_and_hardly_overlap(scenes: list[Annotated]) -> None:
    heights = []
    for scene in scenes:
        boxes = [np.array(labelled.box) for labelled in scene.objects]
        cover = np.zeros((len(boxes), CANVAS, CANVAS), bool)
        for mask, (left, top, right, bottom) in zip(cover, boxes, strict=True):
            assert 0 <= left < right <= CANVAS
            assert 0 <= top < bottom <= CANVAS
            mask[int(top) : int(bottom), int(left) : int(right)] = True
            heights.append(bottom - top)
        for index, mask in enumerate(cover):
            for other in cover[index + 1 :]:
                assert (mask & other).sum() <= 0.1 * min(mask.sum(), other.sum())
    assert min(heights) == 16
    assert max(heights) == 31


def test_a_box_is_where_the_ink_is(scenes: list[Annotated]) -> None:
    """Outside of all boxes there is the canvas alone; the edges of a box have ink that differs from it."""
    edges = []
    for scene in scenes[:100]:
        pixels = canvas(scene)
        assert pixels.shape == (CANVAS, CANVAS, 3)
        outside = np.ones((CANVAS, CANVAS), bool)
        for labelled in scene.objects:
            left, top, right, bottom = map(int, labelled.box)
            outside[top:bottom, left:right] = False
        colour, noise = pixels[outside].mean(axis=0), pixels[outside].std(axis=0)
        assert (noise < 13).all(), "nothing but the canvas's noise, whose deviation is 10"
        for labelled in scene.objects:
            left, top, right, bottom = map(int, labelled.box)
            inside = np.abs(pixels[top:bottom, left:right] - colour).max(axis=2)
            edges += [edge.max() for edge in (inside[:2], inside[-2:], inside[:, :2], inside[:, -2:])]
    assert min(edges) > 30, "three deviations of the noise"


def test_the_scenes_are_the_same_every_time(scenes: list[Annotated]) -> None:
    np.random.seed(5)
    assert list_digit_scenes().train == scenes


def test_they_are_split_like_any_data_set_without_a_test_set() -> None:
    data = load(DetectionLoading(source="digit-scenes"))
    count = len(data.train) + len(data.validation) + len(data.test)
    assert (data.name, data.image_size, data.channels) == ("digit-scenes", 64, 3)
    assert data.classes == tuple("0123456789")
    assert len(data.test) == round(0.15 * count)
    assert len(data.validation) == round(0.1 * (count - len(data.test)))
    assert (data.skipped_images, data.left_out, data.notes) == (0, {}, ())
    assert data.test_from == "15% of the images, split off with seed 0"
    assert set(data.train.labels.tolist()) == set(range(1, 11)), "0 is the background"
    for part in (data.train, data.validation, data.test):
        assert not part.difficult.any()
        assert part.pixels(0).shape == (3, 64, 64)


def test_mean_and_deviation_are_those_of_the_training_pixels() -> None:
    data = load(DetectionLoading(source="digit-scenes", train_limit=60))
    pixels = np.stack([data.train.pixels(index).numpy() for index in range(len(data.train))]) / 255
    np.testing.assert_allclose(data.mean, pixels.mean(axis=(0, 2, 3)), rtol=1e-9)
    np.testing.assert_allclose(data.std, pixels.std(axis=(0, 2, 3)), rtol=1e-9)
