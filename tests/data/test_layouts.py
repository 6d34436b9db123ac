"""What people's data folders look like, and what is read of them."""

from __future__ import annotations

import json
import shutil
import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from loading import load
from pictures import picture, png

from tune_kd.data import ImageData
from tune_kd.data.misread import check_whole
from tune_kd.data.summary import in_words, remarks
from tune_kd.errors import InputError

TRAIN, TEST = {"cat": 10, "dog": 10}, {"cat": 3, "dog": 3}
POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n"


def counts(data: ImageData) -> tuple[int, int]:
    """Images to train and validate on, and to test."""
    return len(data.train) + len(data.validation), len(data.test)


@pytest.fixture
def make_split(make_folder: Any, tmp_path: Path) -> Callable[..., Path]:
    """make_split("set/animals/train", "set/animals/test"): class folders for cats and dogs, 20 and 6 images."""

    def make(train: str, test: str) -> Path:
        make_folder(TRAIN, train)
        make_folder(TEST, test)
        return tmp_path / "set"

    return make


# What is read


@pytest.mark.parametrize(
    ("train", "test", "said"),
    [
        ("set/train", "set/test", "test/"),
        ("set/animals/train", "set/animals/test", "animals/test/"),
        ("set/a/b/images/train", "set/a/b/images/val", "a/b/images/val/"),
        ("set/seg_train/seg_train", "set/seg_test/seg_test", "seg_test/"),
        ("set/Training", "set/Validation", "Validation/"),
        ("set/train2017", "set/val2017", "val2017/"),
    ],
)
def test_splits_are_found_by_their_names_below_lone_folders(train: str, test: str, said: str, make_split: Any) -> None:
    data = load(str(make_split(train, test)))
    assert (data.classes, counts(data)) == (("cat", "dog"), (20, 6))
    assert in_words(data) == f"set: 2 classes · 16 training, 4 validation, 6 test images · test set: {said}"


def test_a_lone_data_folder_of_a_hugging_face_repository_keeps_its_splits(make_parquet: Any) -> None:
    for number in range(2):
        make_parquet([0, 1] * 10, f"set/data/train-0000{number}-of-00002.parquet", first_seed=100 * number)
    make_parquet([0, 1] * 4, "set/data/validation-00000-of-00001.parquet", first_seed=300)
    root = make_parquet([0, 1] * 3, "set/data/test-00000-of-00001.parquet", first_seed=200).parent
    (root / "README.md").write_text("a card\n")
    data = load(str(root))
    assert counts(data) == (40, 6)
    assert data.test_from == "data/test-00000-of-00001.parquet"
    assert remarks(data) == ["set: not read: data/validation-00000-of-00001.parquet"]


def test_a_flat_folder_says_that_its_test_set_was_split_off(make_folder: Any) -> None:
    data = load(str(make_folder({"cat": 40, "dog": 20})), split_seed=7)
    assert in_words(data) == (
        "set: 2 classes · 41 training, 10 validation, 9 test images · "
        "test set: 15% of the images, split off with seed 7"
    )
    assert remarks(data) == []


def test_a_loose_picture_makes_no_class_of_a_split_and_is_counted(make_split: Any) -> None:
    root = make_split("set/train", "set/test")
    for part in ("train", "test"):
        picture(999).save(root / part / "overview.png")
    data = load(str(root))
    assert (data.classes, counts(data)) == (("cat", "dog"), (20, 6))
    assert data.left_out == {"image outside a class folder": 2}


def test_hidden_names_are_skipped_at_every_depth(make_folder: Any) -> None:
    root = make_folder(TRAIN)
    for place in (".ipynb_checkpoints", "cat/.ipynb_checkpoints", "__MACOSX/cat", "dog/deep/__MACOSX"):
        (root / place).mkdir(parents=True)
        picture(999).save(root / place / "x.png")
    (root / "cat" / "._000.png").write_bytes(b"resource fork")
    (root / "dog" / "Thumbs.db").write_bytes(b"thumbnails")
    data = load(str(root))
    assert (data.classes, sum(counts(data)), remarks(data)) == (("cat", "dog"), 20, [])


def test_formats_that_are_left_out_are_counted_by_their_ending(make_folder: Any) -> None:
    root = make_folder(TRAIN)
    for name in ("cat/1.heic", "cat/2.HEIC", "dog/deep/3.svg", "dog/notes"):
        (root / name).parent.mkdir(exist_ok=True)
        (root / name).write_bytes(b"something")
    data = load(str(root))
    assert data.left_out == {".heic": 2, ".svg": 1, "file without an ending": 1}
    assert remarks(data) == ["set: left out: 2 × .heic, 1 × .svg, 1 × file without an ending"]


def test_a_link_to_a_folder_above_adds_no_image(make_folder: Any) -> None:
    root = make_folder(TRAIN)
    before = load(str(root)).split_sha256
    (root / "cat" / "up").symlink_to("..")
    (root / "all").symlink_to(".")
    data = load(str(root))
    assert data.split_sha256 == before
    assert data.left_out == {"link to a folder above": 1}


def test_linked_class_folders_are_followed(make_folder: Any, tmp_path: Path) -> None:
    root = make_folder(TRAIN)
    (tmp_path / "view").mkdir()
    for name in TRAIN:
        (tmp_path / "view" / name).symlink_to(root / name)
    assert load(str(tmp_path / "view")).split_sha256 == load(str(root)).split_sha256


def test_a_dangling_link_is_a_bad_image(make_folder: Any, tmp_path: Path) -> None:
    root = make_folder(TRAIN)
    (root / "cat/zz.png").symlink_to("gone.png")
    with pytest.raises(InputError, match=r"cannot decode cat/zz\.png: it is a link to gone\.png, which is not there"):
        load(str(root))
    assert load(str(root), skip_bad_images=True, cache=tmp_path / "cache").skipped_images == 1


def test_accents_composed_and_decomposed_are_one_name_and_one_order(make_folder: Any, tmp_path: Path) -> None:
    composed, decomposed = (unicodedata.normalize(form, "café") for form in ("NFC", "NFD"))
    root = make_folder({composed: 10, "caff": 10}, "set/train").parent
    make_folder({decomposed: 3, "caff": 3}, "set/test")
    data = load(str(root))
    assert data.classes == ("caff", composed)
    assert np.bincount(data.test.labels).tolist() == [3, 3]
    shutil.copytree(root, tmp_path / "other")
    (tmp_path / "other/train" / composed).rename(tmp_path / "other/train" / decomposed)
    assert load(str(tmp_path / "other")).split_sha256 == data.split_sha256
    (root / "train" / decomposed).mkdir()
    picture(999).save(root / "train" / decomposed / "one more.png")
    assert (load(str(root)).classes, counts(load(str(root)))) == (data.classes, (21, 6))


def test_what_lies_beside_the_splits_is_said(make_split: Any, make_folder: Any) -> None:
    root = make_split("set/train", "set/test")
    make_folder({"pred": 3, "unlabelled": 2})
    (root / "docs").mkdir()
    assert remarks(load(str(root))) == ["set: not read: pred/, unlabelled/"]


# Labels and columns of Parquet files


@pytest.mark.parametrize(
    ("labels", "classes", "said"),
    [
        ([1, 2, 3], ("1", "2", "3"), "from 1 to 3: taken as 3 classes"),
        ([0, 7, 9], ("0", "7", "9"), "from 0 to 9, not all of which occur: taken as 3 classes"),
    ],
)
def test_labels_that_start_at_1_or_have_gaps_are_the_classes_that_occur(
    labels: list[int], classes: tuple[str, ...], said: str, make_parquet: Any
) -> None:
    make_parquet(labels * 10)
    data = load(str(make_parquet([labels[2], labels[0]], "set/test.parquet", first_seed=100)))
    assert data.classes == classes
    assert data.test.labels.tolist() == [2, 0]
    assert remarks(data) == [f"set: the labels have no names and are {said}"]


def test_names_without_an_image_are_no_classes_and_said(make_parquet: Any) -> None:
    names = ["ant", "bee", "cat", "dog"]
    make_parquet([1, 3] * 10, names=names)
    data = load(str(make_parquet([3, 1, 1], "set/test.parquet", first_seed=100)))
    assert (data.classes, data.test.labels.tolist()) == (("bee", "dog"), [1, 0, 0])
    assert remarks(data) == ["set: no training image has the class 'ant', 'cat': 2 classes are left"]


def test_classes_that_share_a_name_stay_apart(make_parquet: Any) -> None:
    names = ["crane", "crane", "dog"]
    make_parquet([0, 1, 2] * 10, names=names)
    data = load(str(make_parquet([0, 1, 2], "set/test.parquet", names=names, first_seed=100)))
    assert data.test.labels.tolist() == [0, 1, 2]


@pytest.fixture
def cifar100_columns(tmp_path: Path) -> Path:
    """``img``, ``fine_label`` and ``coarse_label``, as the hub has CIFAR-100."""
    rows = [{"bytes": png(picture(row)), "path": None} for row in range(40)]
    fine, coarse = [row % 4 for row in range(40)], [row % 2 for row in range(40)]
    table = pa.table({"img": rows, "fine_label": fine, "coarse_label": coarse})
    features = {"fine_label": {"names": list("abcd")}, "coarse_label": {"names": ["x", "y"]}}
    (tmp_path / "set").mkdir()
    told = table.replace_schema_metadata({"huggingface": json.dumps({"info": {"features": features}})})
    pq.write_table(told, tmp_path / "set/train.parquet")
    return tmp_path / "set"


def test_the_columns_of_a_parquet_file_can_be_chosen(cifar100_columns: Path) -> None:
    fine, coarse = (load(str(cifar100_columns), label_column=f"{name}_label") for name in ("fine", "coarse"))
    assert (fine.classes, coarse.classes) == (("a", "b", "c", "d"), ("x", "y"))
    assert load(str(cifar100_columns), image_column="img", label_column="fine_label").split_sha256 == fine.split_sha256


def test_the_only_columns_that_fit_are_taken_and_said(cifar100_columns: Path) -> None:
    file = cifar100_columns / "train.parquet"
    pq.write_table(pq.read_table(file, columns=["img", "fine_label"]), file)
    assert remarks(load(str(cifar100_columns))) == ["set: the images are the column img, the labels fine_label"]


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({}, "train.parquet: images could be img, labels fine_label or coarse_label; say which with --image-column"),
        ({"image_column": "img"}, "--label-column NAME"),
        ({"label_column": "fine"}, "unknown column of train.parquet 'fine'; did you mean 'fine_label'?"),
        ({"image_column": "fine_label", "label_column": "fine_label"}, "of which 'fine_label' is none"),
    ],
)
def test_columns_that_are_not_clear_are_refused(cifar100_columns: Path, asked: dict[str, str], said: str) -> None:
    with pytest.raises(InputError) as refused:
        load(str(cifar100_columns), **asked)
    assert said in str(refused.value)
    assert "\n" not in str(refused.value)


def test_columns_of_what_is_no_parquet_file_are_refused(make_folder: Any) -> None:
    for source in (str(make_folder(TRAIN)), "digits"):
        with pytest.raises(InputError, match="are for Parquet files"):
            load(source, label_column="label")


# One split of a set


def test_one_split_is_refused_where_another_lies_beside_it(make_split: Any, make_folder: Any) -> None:
    root = make_split("set/train", "set/test")
    with pytest.raises(InputError, match=rf"test/ beside it another; give {root}$"):
        check_whole(root / "train")
    check_whole(root)
    make_folder({"rose": 2}, "flowers/train")
    make_folder({"cat": 2}, "flowers/test")
    check_whole(root.parent / "flowers/train")


def test_pointers_of_git_lfs_are_called_that(make_folder: Any, make_parquet: Any) -> None:
    root = make_folder(TRAIN)
    (root / "cat/003.png").write_bytes(POINTER)
    table = make_parquet([0, 1] * 10, "other/train.parquet")
    (table / "train.parquet").write_bytes(POINTER)
    for source, name in ((root, "cat/003.png: it"), (table, "train.parquet")):
        with pytest.raises(InputError, match=f"{name} is a Git LFS pointer, not the data themselves; .*git lfs pull"):
            load(str(source))
