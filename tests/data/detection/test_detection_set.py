"""Images with boxes in memory: what lies where, and their seeded parts."""

from __future__ import annotations

import pickle
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from detections import detection_set
from hypothesis import given, settings
from hypothesis import strategies as st
from pictures import picture, png

from tune_kd.data.detection.detection_set import DetectionData, DetectionSet
from tune_kd.data.detection.split import hold_out, limit, split
from tune_kd.errors import InputError


def three() -> DetectionSet:
    """Three images, with two, no and one object."""
    return DetectionSet.of(
        [png(picture(seed, (20 + seed, 16))) for seed in range(3)],
        [np.array([[0, 0, 5, 6], [1, 2, 3, 4]], np.float32), np.empty((0, 4), np.float32), np.ones((1, 4), np.float32)],
        [np.array([1, 2]), np.empty(0, np.int64), np.array([3])],
        [np.array([False, True]), np.empty(0, np.bool_), np.array([False])],
    )


def objects(part: DetectionSet, index: int) -> list[Any]:
    here = part.objects_of(index)
    return [values[here].tolist() for values in (part.boxes, part.labels, part.difficult)]


def data(**parts: DetectionSet) -> DetectionData:
    whole = {name: detection_set(3, seed) for seed, name in enumerate(("train", "validation", "test"))} | parts
    return DetectionData(name="noise", classes=("a", "b", "c"), image_size=64, mean=(0.5,) * 3, std=(0.2,) * 3, **whole)


def test_each_image_has_its_own_pixels_and_objects() -> None:
    part = three()
    assert len(part) == 3
    for index in range(3):
        pixels = part.pixels(index)
        assert np.array_equal(pixels.permute(1, 2, 0).numpy(), np.asarray(picture(index, (20 + index, 16))))
    assert objects(part, 0) == [[[0, 0, 5, 6], [1, 2, 3, 4]], [1, 2], [False, True]]
    assert objects(part, 1) == [[], [], []]
    assert objects(part, 2) == [[[1, 1, 1, 1]], [3], [False]]


def test_a_part_of_it_keeps_images_and_objects_together() -> None:
    whole, part = three(), three().take(np.array([2, 0]))
    assert [part.pixels(index).tolist() for index in range(2)] == [whole.pixels(index).tolist() for index in (2, 0)]
    assert [objects(part, index) for index in range(2)] == [objects(whole, index) for index in (2, 0)]
    assert len(whole.take(np.array([], np.int64))) == 0


def test_it_travels_as_a_few_arrays_that_are_not_copied() -> None:
    buffers: list[pickle.PickleBuffer] = []
    part = detection_set(50)
    text = pickle.dumps(part, protocol=5, buffer_callback=buffers.append)
    assert len(text) < 1000
    assert len(buffers) == 6
    again = pickle.loads(text, buffers=buffers)
    assert np.shares_memory(again.content, part.content)


def test_arrays_that_do_not_fit_each_other_are_refused() -> None:
    with pytest.raises(ValueError, match=r"boxes must be \[3, 4\] and difficult \[3\], got \[2, 4\] and \[3\]"):
        replace(three(), boxes=three().boxes[:2])
    with pytest.raises(ValueError, match="3 images, objects of 2"):
        replace(three(), objects_at=three().objects_at[:-1])


def test_the_hash_of_a_split_is_of_all_that_is_learned_from() -> None:
    part = three()
    first = data(train=part)
    assert data(train=three()).split_sha256 == first.split_sha256
    for changed in (
        replace(part, content=part.content ^ 1),
        replace(part, boxes=part.boxes + 1),
        replace(part, labels=part.labels + 1),
        replace(part, difficult=~part.difficult),
        part.take(np.array([1, 0, 2])),
    ):
        assert data(train=changed).split_sha256 != first.split_sha256
    assert data(train=first.test, test=first.train).split_sha256 != first.split_sha256
    assert replace(first, image_size=32).split_sha256 != first.split_sha256


@settings(deadline=None)
@given(count=st.integers(4, 300), fraction=st.floats(0.01, 0.5), seed=st.integers(0, 9))
def test_a_split_is_seeded_and_has_every_image_once(count: int, fraction: float, seed: int) -> None:
    rest, part = split(count, fraction=fraction, seed=(seed, 0), part="test")
    assert sorted([*rest, *part]) == list(range(count))
    assert len(part) == max(1, round(count * fraction))
    again = split(count, fraction=fraction, seed=(seed, 0), part="test")
    assert np.array_equal(rest, again[0])
    assert np.array_equal(part, again[1])


def test_another_seed_is_another_split() -> None:
    one, other = (split(100, fraction=0.2, seed=(seed,), part="test")[1] for seed in (0, 1))
    assert not np.array_equal(one, other)


@pytest.mark.parametrize(("count", "fraction"), [(1, 0.1), (2, 0.1), (10, 0.95)])
def test_a_split_that_leaves_too_few_is_refused(count: int, fraction: float) -> None:
    with pytest.raises(InputError, match=r"a validation set of \d+% of \d+ images leaves [01] of them; at least 2"):
        split(count, fraction=fraction, seed=(0,), part="validation")


def test_a_limit_is_a_seeded_part_and_not_below_what_is_needed() -> None:
    part = limit(100, 30, seed=(0,), name="train_limit", least=3)
    assert len(set(part.tolist())) == 30
    assert np.array_equal(part, limit(100, 30, seed=(0,), name="train_limit", least=3))
    assert limit(100, None, seed=(0,), name="train_limit", least=3).tolist() == list(range(100))
    assert limit(100, 100, seed=(0,), name="train_limit", least=3).tolist() == list(range(100))
    with pytest.raises(InputError, match="train_limit must be at least 3 images, got 2"):
        limit(100, 2, seed=(0,), name="train_limit", least=3)


def test_what_is_held_out_is_a_seeded_share_with_its_objects() -> None:
    whole = detection_set(20)
    first, second = hold_out(whole, 0.25, seed=3)
    assert (len(first), len(second)) == (15, 5)
    there = [whole.pixels(index).tolist() for index in range(20)]
    rows = [there.index(part.pixels(index).tolist()) for part in (first, second) for index in range(len(part))]
    assert sorted(rows) == list(range(20))
    assert [objects(second, index) for index in range(5)] == [objects(whole, row) for row in rows[15:]]
    assert np.array_equal(hold_out(whole, 0.25, seed=3)[1].content, second.content)
    assert not np.array_equal(hold_out(whole, 0.25, seed=4)[1].content, second.content)


def test_nothing_held_out_is_an_empty_part() -> None:
    first, second = hold_out(detection_set(4), 0, seed=0)
    assert (len(first), len(second)) == (4, 0)


@pytest.mark.parametrize("share", [0.01, 0.99])
def test_a_share_that_leaves_a_part_empty_is_refused(share: float) -> None:
    with pytest.raises(InputError, match=r"cannot hold .* of 4 training images out: that is [04], must be from 1 to 3"):
        hold_out(detection_set(4), share, seed=0)
