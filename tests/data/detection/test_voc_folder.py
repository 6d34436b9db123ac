"""Folders in VOC's layout: which images train and test, what an annotation says, and every fault in one line."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from detections import Thing, annotation, voc_year
from pictures import picture

from tune_kd.data.detection import DetectionData, DetectionLoading, DetectionSet, load
from tune_kd.errors import InputError

SHARED = Path(__file__).parents[3] / "../shared/data/coco-voc-layout"
needs_photographs = pytest.mark.skipif(not SHARED.is_dir(), reason="the photographs beside the project are not here")

DOG: Thing = ("dog", (11, 6, 30, 25))
CAT: Thing = ("cat", (1, 1, 60, 40))
HARD_DOG: Thing = ("dog", (2, 2, 9, 9, 1))
NAMES = tuple(f"{number:02}" for number in range(20))


def read(folder: Path, **fields: Any) -> DetectionData:
    return load(DetectionLoading(source=str(folder), **fields))


def year(folder: Path, changed: Mapping[str, Sequence[Thing]] | None = None, lists: Any = None) -> Path:
    """Twenty images with a dog and a cat, but for those that are ``changed``; 16 on the list to train, 4 to test."""
    images = dict.fromkeys(NAMES, (DOG, CAT)) | (changed or {})
    return voc_year(folder, images, {"trainval": NAMES[:16], "test": NAMES[16:]} if lists is None else lists)


def boxes(part: DetectionSet) -> list[list[float]]:
    return sorted(part.boxes.tolist())


def number_of(part: DetectionSet, folder: Path) -> list[str]:
    """The names of a part's images, by their bytes."""
    names = {file.read_bytes(): file.stem for file in (folder / "JPEGImages").iterdir()}
    return sorted(names[part.take(np.array([index])).content.tobytes()] for index in range(len(part)))


def refusal(folder: Path, **fields: Any) -> str:
    with pytest.raises(InputError) as refused:
        read(folder, **fields)
    assert "\n" not in str(refused.value)
    return str(refused.value)


# What an annotation says


def test_corners_count_from_one_and_include_the_last_pixel(tmp_path: Path) -> None:
    data = read(year(tmp_path / "set"))
    assert data.classes == ("cat", "dog")
    assert boxes(data.test) == sorted([[0, 0, 60, 40]] * 4 + [[10, 5, 30, 25]] * 4)
    assert sorted(data.test.labels.tolist()) == [1] * 4 + [2] * 4
    assert not data.test.difficult.any()
    assert data.image_size == 300


def test_float_corners_parts_and_difficult_objects_are_read(tmp_path: Path) -> None:
    folder = year(tmp_path / "set")
    with_a_part = annotation(("dog", (11.5, 6.25, "30.75", 25, 1)), ("cat", (" 5 ", 6, 7, 8, 0))).replace(
        "</object>", "<part><name>head</name><bndbox><xmin>1</xmin></bndbox></part></object>"
    )
    (folder / "Annotations/16.xml").write_text(with_a_part)
    part = read(folder).test
    here = part.objects_of(number_of(part, folder).index("16"))
    assert part.boxes[here].tolist() == [[10.5, 5.25, 30.75, 25], [4, 5, 7, 8]]
    assert part.labels[here].tolist() == [2, 1]
    assert part.difficult[here].tolist() == [True, False]


def test_a_box_over_the_edge_is_cut_there_and_counted(tmp_path: Path) -> None:
    over: Thing = ("dog", (0, -5, 70, 41))
    data = read(year(tmp_path / "set", {"17": (over, CAT), "03": (over,)}))
    assert boxes(data.test)[:4] == [[0, 0, 60, 40]] * 4
    assert boxes(data.test).count([0, 0, 60, 40]) == 5
    assert data.left_out == {"part of a box outside its image": 2}


def test_an_image_without_an_object_is_kept_and_noted(tmp_path: Path) -> None:
    data = read(year(tmp_path / "set", {"17": (), "18": (HARD_DOG,)}))
    assert len(data.test) == 4
    assert sorted(np.diff(data.test.objects_at).tolist()) == [0, 1, 2, 2]
    assert data.notes == ("1 of 4 test images have no object; they are kept",)


def test_a_class_that_a_part_has_not_is_noted(tmp_path: Path) -> None:
    data = read(year(tmp_path / "set", dict.fromkeys(NAMES[16:], (CAT, HARD_DOG))))
    assert data.notes == ("the test set has no object of dog",)


# Which images


def test_the_test_list_tests_and_trainval_trains(tmp_path: Path) -> None:
    folder = year(tmp_path / "set")
    data = read(folder, validation_fraction=0.25)
    assert number_of(data.test, folder) == list(NAMES[16:])
    assert sorted([*number_of(data.train, folder), *number_of(data.validation, folder)]) == list(NAMES[:16])
    assert (len(data.validation), data.test_from) == (4, "set/test.txt")


@pytest.mark.parametrize(
    ("lists", "trained", "tested"),
    [
        ({"train": NAMES[:8], "val": NAMES[8:16], "test": NAMES[16:]}, 16, "set/test.txt"),
        ({"trainval": NAMES, "train": NAMES[:15], "val": NAMES[15:]}, 15, "set/val.txt"),
        ({"trainval": NAMES}, 17, "15% of the images, split off with seed 0"),
        ({"train": NAMES[:10]}, 8, "15% of the images, split off with seed 0"),
        ({}, 17, "15% of the images, split off with seed 0"),
    ],
)
def test_without_trainval_or_test_other_lists_or_a_part_of_the_images_stand_in(
    lists: Mapping[str, Sequence[str]], trained: int, tested: str, tmp_path: Path
) -> None:
    data = read(year(tmp_path / "set", lists=lists))
    assert (len(data.train) + len(data.validation), data.test_from) == (trained, tested)


def test_all_years_of_a_devkit_are_read_together(tmp_path: Path) -> None:
    year(tmp_path / "set/VOCdevkit/VOC2007")
    year(tmp_path / "set/VOCdevkit/VOC2012", lists={"trainval": NAMES[:10]})
    data = read(tmp_path / "set")
    assert (len(data.train) + len(data.validation), len(data.test)) == (26, 4)
    assert data.split_sha256 == read(tmp_path / "set/VOCdevkit").split_sha256
    assert data.test_from == "VOC2007/test.txt"
    assert len(read(tmp_path / "set/VOCdevkit/VOC2012").test) == 2


def test_lists_of_classes_name_the_classes(tmp_path: Path) -> None:
    folder = year(tmp_path / "set")
    for name in ("cat", "cow", "dog"):
        (folder / f"ImageSets/Main/{name}_trainval.txt").write_text("00  1\n")
    (folder / "ImageSets/Main/test_free.txt").write_text("16\n")
    assert read(folder).classes == ("cat", "cow", "dog")


def test_images_of_any_format_are_found_by_name_and_those_without_annotation_are_counted(tmp_path: Path) -> None:
    folder = year(tmp_path / "set", lists={})
    (folder / "JPEGImages/00.jpg").unlink()
    picture(50, (60, 40), "L").save(folder / "JPEGImages/00.PNG")
    picture(51).save(folder / "JPEGImages/alone.png")
    data = read(folder)
    assert len(data.train) + len(data.validation) + len(data.test) == 20
    assert data.left_out == {"image without an annotation": 1}


def test_the_split_is_seeded_and_limits_are_parts(tmp_path: Path) -> None:
    folder = year(tmp_path / "set", lists={})
    first = read(folder)
    assert read(folder).split_sha256 == first.split_sha256 != read(folder, split_seed=1).split_sha256
    limited = read(folder, train_limit=9, test_limit=2)
    assert [len(part) for part in (limited.train, limited.validation, limited.test)] == [8, 1, 2]
    assert refusal(folder, train_limit=2) == "train_limit must be at least 3 images, got 2"


# What cannot be used


def _replace(name: str, old: str, new: str) -> Callable[[Path], object]:
    def damage(folder: Path) -> None:
        file = folder / f"Annotations/{name}.xml"
        text = file.read_text()
        assert old in text
        file.write_text(text.replace(old, new, 1))

    return damage


def _content(file: str, content: bytes) -> Callable[[Path], object]:
    return lambda folder: (folder / file).write_bytes(content)


LFS = b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n"

FAULTS = {
    "half an XML file": (_replace("03", "</annotation>", ""), "03.xml: it is no XML: no element found"),
    "no XML": (_content("Annotations/03.xml", b"dog 11 6 30 25"), "03.xml: it is no XML: syntax error"),
    "an encoding": (_content("Annotations/03.xml", b"<?xml version='1.0' encoding='x'?><a/>"), "03.xml: it is no XML"),
    "an LFS pointer": (_content("Annotations/03.xml", LFS), "03.xml: it is a Git LFS pointer"),
    "another XML": (_content("Annotations/03.xml", b"<svg/>"), "03.xml: it begins with <svg>, must with <annotation>"),
    "no annotation": (lambda folder: (folder / "Annotations/03.xml").unlink(), "03.xml: there is no such file"),
    "no name": (_replace("03", "<name>dog</name>", ""), "03.xml: object 1 has no name"),
    "no corner": (_replace("03", "<xmax>30</xmax>", ""), "03.xml: object 1, a dog, has no xmax"),
    "a word": (_replace("03", ">30<", ">right<"), "03.xml: object 1, a dog, has xmax 'right', must be a number"),
    "infinity": (_replace("03", ">30<", ">inf<"), "03.xml: object 1, a dog, has xmax 'inf', must be a number"),
    "difficult": (
        _replace("03", "<bndbox>", "<difficult>2</difficult><bndbox>"),
        "03.xml: object 1, a dog, has difficult '2', must be 0 or 1",
    ),
    "no area": (
        _replace("03", ">30<", ">10<"),
        "03.jpg: the box of a dog, xmin 11, ymin 6, xmax 10, ymax 25, has no area",
    ),
    "outside": (
        _replace("03", "<xmin>11</xmin><ymin>6</ymin><xmax>30", "<xmin>61</xmin><ymin>6</ymin><xmax>80"),
        "03.jpg: the box of a dog, xmin 61, ymin 6, xmax 80, ymax 25, lies outside its image of 60×40 pixels",
    ),
    "half an image": (_content("JPEGImages/03.jpg", b"\xff\xd8\xff\xe0"), "03.jpg: no known image format"),
    "no image": (lambda folder: (folder / "JPEGImages/03.jpg").unlink(), "03.jpg: there is no such file"),
    "a tiny image": (
        lambda folder: picture(1, (60, 7)).save(folder / "JPEGImages/03.jpg"),
        "03.jpg: it has 60×7 pixels; each side must have at least 8",
    ),
}


@pytest.mark.parametrize("kind", FAULTS)
def test_a_fault_is_told_in_one_line_or_its_image_left_out_and_counted(kind: str, tmp_path: Path) -> None:
    folder = year(tmp_path / "set")
    damage, said = FAULTS[kind]
    damage(folder)
    line = refusal(folder)
    assert line.startswith("cannot use set/JPEGImages/03.jpg: ")
    assert said in line
    assert line.endswith("; mend it, or leave such images out with --skip-bad-images")
    data = read(folder, skip_bad_images=True)
    assert data.skipped_images == 1
    assert len(data.train) + len(data.validation) + len(data.test) == 19


def test_an_unknown_class_of_the_test_set_is_told_with_the_nearest(tmp_path: Path) -> None:
    folder = year(tmp_path / "set", {"18": (("dgo", (1, 1, 9, 9)),), "19": (("dgo", (1, 1, 9, 9)),)})
    line = refusal(folder)
    assert "cannot use set/JPEGImages/18.jpg (and 1 more): it has an object of the unknown class 'dgo'" in line
    assert "did you mean 'dog'? choices: cat, dog" in line
    assert read(folder, skip_bad_images=True).skipped_images == 2


def test_a_part_must_have_something_to_find(tmp_path: Path) -> None:
    folder = year(tmp_path / "set", dict.fromkeys(NAMES[16:], (HARD_DOG,)))
    assert refusal(folder) == ("the 4 images of the test set have no object that is not difficult; at least 1 needed")
    bare = year(tmp_path / "bare", dict.fromkeys(NAMES, ()))
    assert "no object is annotated in the 16 training images of" in refusal(bare)
    for name in NAMES[16:]:
        (folder / f"JPEGImages/{name}.jpg").unlink()
    assert refusal(folder, skip_bad_images=True) == "the 0 images of the test set have no object; at least 1 needed"


def test_an_image_to_train_and_to_test_is_refused(tmp_path: Path) -> None:
    folder = year(tmp_path / "set", lists={"trainval": NAMES, "test": NAMES[18:]})
    assert refusal(folder) == ("set lists 18 (and 1 more) to train and to test; an image must be in one part only")


@pytest.mark.parametrize(
    ("made", "said"),
    [
        ((), "no data folder"),
        (("other",), "has no Annotations; it must have Annotations/NAME.xml and JPEGImages/NAME.jpg"),
        (("Annotations",), "no images (.jpg"),
    ],
)
def test_a_folder_of_another_layout_is_refused(made: Sequence[str], said: str, tmp_path: Path) -> None:
    for name in made:
        (tmp_path / "set" / name).mkdir(parents=True)
    assert said in refusal(tmp_path / "set")


def test_annotations_that_nothing_names_are_refused(tmp_path: Path) -> None:
    (tmp_path / "set/Annotations").mkdir(parents=True)
    (tmp_path / "set/JPEGImages").mkdir()
    picture(1).save(tmp_path / "set/JPEGImages/1.jpg")
    assert "no annotation (NAME.xml) in" in refusal(tmp_path / "set")
    (tmp_path / "set/ImageSets/Main").mkdir(parents=True)
    (tmp_path / "set/ImageSets/Main/trainval.txt").write_bytes(b"\xff")
    assert "trainval.txt cannot be read" in refusal(tmp_path / "set")


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"image_size": 0}, "image_size must be > 0 pixels, got 0"),
        ({"validation_fraction": 1.0}, "validation_fraction must be between 0 and 1, both excluded, got 1.0"),
        ({"split_seed": -1}, "split_seed must be ≥ 0, got -1"),
        ({"normalisation": ((0.5,), (0.5,))}, "normalisation is for 1 channels; images with boxes have 3"),
    ],
)
def test_a_value_that_cannot_be_is_refused(fields: Mapping[str, Any], said: str, tmp_path: Path) -> None:
    assert refusal(tmp_path, **fields) == said


# What is measured and kept


def test_a_survey_is_kept_by_content_and_made_anew_where_it_is_damaged(tmp_path: Path) -> None:
    folder, cache = year(tmp_path / "set"), tmp_path / "cache"
    first = read(folder, cache=cache)
    [kept] = cache.iterdir()
    again = read(folder, cache=cache, split_seed=1)
    assert [*cache.iterdir()] == [kept], "another split of the same images"
    assert again.mean != first.mean
    kept.write_bytes(kept.read_bytes()[:-50])
    assert read(folder, cache=cache).mean == first.mean
    for name in NAMES[:3]:  # validation has two
        picture(99, (60, 40)).save(folder / f"JPEGImages/{name}.jpg")
    assert read(folder, cache=cache).mean != first.mean
    assert len([*cache.iterdir()]) == 2


def test_faults_are_told_from_a_kept_survey_as_well(tmp_path: Path) -> None:
    folder, cache = year(tmp_path / "set"), tmp_path / "cache"
    (folder / "JPEGImages/03.jpg").write_bytes(b"no image")
    assert refusal(folder, cache=cache) == refusal(folder, cache=cache) == refusal(folder)


def test_given_constants_stand_in_for_measured_ones(tmp_path: Path) -> None:
    given = ((0.5, 0.4, 0.3), (0.2, 0.2, 0.2))
    data = read(year(tmp_path / "set"), normalisation=given)
    assert (data.mean, data.std) == given


# Real photographs


@needs_photographs
def test_real_photographs_have_the_boxes_that_their_page_counts() -> None:
    data = read(SHARED, validation_fraction=0.2)
    assert len(data.test) == 152
    assert len(data.train) + len(data.validation) == 139, "133 COCO photographs and six of VOC2012"
    assert (len(data.classes), data.skipped_images, data.left_out) == (20, 0, {})
    assert (len(data.test.labels), int(data.test.difficult.sum())) == (872, 150)
    of_dogs = data.test.labels == 1 + data.classes.index("dog")
    assert int(of_dogs.sum()) == 5
    for part in (data.train, data.validation, data.test):
        assert (part.boxes[:, :2] < part.boxes[:, 2:]).all()
