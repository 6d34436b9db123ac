"""The data sets with a name: downloaded by the real code from a server here, checked, whole or not there at all."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from archives import CLASSES, WNIDS, cifar_archive, md5, served, tiny_imagenet_folder, zipped
from loading import load
from pictures import picture
from PIL import Image

from tune_kd.data.cifar import Cifar
from tune_kd.data.detection.voc import Voc
from tune_kd.data.official import OFFICIAL
from tune_kd.data.tiny_imagenet import TinyImageNet
from tune_kd.errors import InputError, RunFailed
from tune_kd.storage.data_root import FOLDERS

SHARED = Path(__file__).parents[2] / "../shared/data"
needs_shared_data = pytest.mark.skipif(not SHARED.is_dir(), reason="the image sets beside the project are not here")

RNG = np.random.default_rng(0)
TRAIN = RNG.integers(0, 256, (30, 3, 32, 32), np.uint8), [row % 3 for row in range(30)]
TEST = RNG.integers(0, 256, (6, 3, 32, 32), np.uint8), [2, 1, 0, 0, 1, 2]


@pytest.fixture
def server(tmp_path: Path) -> Iterator[tuple[Path, str]]:
    """A folder and the address at which it is served."""
    (tmp_path / "server").mkdir()
    with served(tmp_path / "server") as address:
        yield tmp_path / "server", address


@pytest.fixture
def cifar(server: tuple[Path, str], monkeypatch: pytest.MonkeyPatch) -> Cifar:
    """A small CIFAR-10 on the server, under its name in the catalogue."""
    small = Cifar(cifar_archive(*server, TRAIN, TEST))
    monkeypatch.setitem(OFFICIAL, "cifar10", lambda: small)
    return small


@pytest.fixture
def tiny(server: tuple[Path, str], monkeypatch: pytest.MonkeyPatch) -> TinyImageNet:
    """A Tiny ImageNet of two classes on the server, under its name in the catalogue."""
    folder, address = server
    archive = zipped(tiny_imagenet_folder(folder, train_per_class=5, test_per_class=2))
    small = TinyImageNet(url=f"{address}/{archive.name}", md5=md5(archive), train_per_class=5, test_per_class=2)
    monkeypatch.setitem(OFFICIAL, "tiny-imagenet", lambda: small)
    return small


# What is downloaded


def test_a_look_for_a_data_set_looks_for_the_folder_that_its_archive_unpacks_to() -> None:
    assert {**{name: official().folder for name, official in OFFICIAL.items()}, "voc": Voc().folder} == FOLDERS


def test_cifar_is_downloaded_once_and_has_its_pixels_labels_and_classes(cifar: Cifar, tmp_path: Path) -> None:
    root = tmp_path / "root"
    data = load("cifar10", data_root=root)
    assert (data.name, data.classes) == ("cifar10", CLASSES)
    assert [path.name for path in root.iterdir()] == ["cifar-10-batches-py"], "neither archive nor anything half-made"
    assert np.array_equal(data.test.images, TEST[0])
    assert data.test.labels.tolist() == TEST[1]
    trained = {image.tobytes(): label for image, label in zip(*TRAIN, strict=True)}
    for part in (data.train, data.validation):
        assert [trained.pop(image.tobytes()) for image in part.images] == part.labels.tolist()
    assert not trained
    shutil.rmtree(tmp_path / "server")
    assert load("cifar10", data_root=root).split_sha256 == data.split_sha256


def test_tiny_imagenet_is_downloaded_and_its_validation_images_are_the_test_set(
    tiny: TinyImageNet, tmp_path: Path
) -> None:
    data = load("tiny-imagenet", data_root=tmp_path / "root")
    folder = tmp_path / "root" / "tiny-imagenet-200"
    assert [path.name for path in folder.parent.iterdir()] == [folder.name]
    assert (data.classes, data.channels, data.image_size) == (tuple(sorted(WNIDS)), 3, 64)
    assert [len(part) for part in (data.train, data.validation, data.test)] == [8, 2, 4]
    assert data.test.labels.tolist() == [1, 0, 1, 0], "n02 and n01 in turn, counted in sorted order"
    with Image.open(folder / "val/images/val_2.JPEG") as image:
        assert np.array_equal(data.test.images[2], np.asarray(image).transpose(2, 0, 1))


@needs_shared_data
def test_real_images_come_through_the_official_files_as_they_are(
    server: tuple[Path, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = load(str(SHARED / "cifar10"), train_limit=200, test_limit=100)
    train = np.concatenate([real.train.images, real.validation.images])
    labels = [*real.train.labels.tolist(), *real.validation.labels.tolist()]
    kind = cifar_archive(*server, (train, labels), (real.test.images, real.test.labels.tolist()), real.classes)
    monkeypatch.setitem(OFFICIAL, "cifar10", lambda: Cifar(kind))
    named = load("cifar10", data_root=tmp_path / "root", cache=tmp_path / "cache")
    assert named.classes == real.classes
    assert np.array_equal(named.test.images, real.test.images)
    again = load("cifar10", data_root=tmp_path / "root", cache=tmp_path / "cache")
    assert named.split_sha256 == again.split_sha256
    assert len(list((tmp_path / "cache").iterdir())) == 1


# What is already there


def test_a_copy_in_the_data_root_is_read_without_a_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tiny_imagenet_folder(tmp_path / "root", train_per_class=5, test_per_class=2)
    nowhere = TinyImageNet(url="http://127.0.0.1:9/none.zip", train_per_class=5, test_per_class=2)
    monkeypatch.setitem(OFFICIAL, "tiny-imagenet", lambda: nowhere)
    assert len(load("tiny-imagenet", data_root=tmp_path / "root").test) == 4


def test_the_official_tiny_imagenet_given_as_a_folder_is_the_same_data(tiny: TinyImageNet, tmp_path: Path) -> None:
    folder = tiny_imagenet_folder(tmp_path / "root", train_per_class=5, test_per_class=2)
    (folder / "test" / "images").mkdir(parents=True)
    picture(99, (64, 64)).save(folder / "test/images/test_0.JPEG")
    assert load(str(folder)).split_sha256 == load("tiny-imagenet", data_root=folder.parent).split_sha256


def test_a_part_of_tiny_imagenet_is_a_data_set_too(tmp_path: Path) -> None:
    folder = tiny_imagenet_folder(tmp_path, train_per_class=6, test_per_class=1)
    data = load(str(folder))
    assert (data.classes, data.test.labels.tolist()) == (tuple(sorted(WNIDS)), [1, 0])
    (folder / "val/val_annotations.txt").write_text("")
    with pytest.raises(InputError, match=r"val_annotations\.txt has no image"):
        load(str(folder))


@needs_shared_data
def test_a_folder_of_the_name_is_taken_as_any_folder_is() -> None:
    named = load("cifar100", data_root=SHARED, train_limit=400, test_limit=100)
    assert named.split_sha256 == load(str(SHARED / "cifar100"), train_limit=400, test_limit=100).split_sha256
    assert np.bincount(named.test.labels).tolist() == [1] * 100


# What cannot be used


@pytest.mark.parametrize("damage", ["missing archive", "half an archive", "another archive"])
def test_a_failed_download_leaves_nothing_behind(
    damage: str, cifar: Cifar, server: tuple[Path, str], tmp_path: Path
) -> None:
    archive = server[0] / "cifar-10-python.tar.gz"
    whole = archive.read_bytes()
    archive.unlink()
    if damage == "half an archive":
        archive.write_bytes(whole[: len(whole) // 2])
    elif damage == "another archive":
        archive.write_bytes(whole[::-1])
    with pytest.raises(RunFailed, match=r"cifar10 is not in .* and cannot be downloaded from http") as failure:
        load("cifar10", data_root=tmp_path / "root")
    assert "--data-root DIR" in str(failure.value)
    assert "\n" not in str(failure.value)
    assert list((tmp_path / "root").iterdir()) == []


def test_a_damaged_tiny_imagenet_archive_leaves_nothing_behind(
    tiny: TinyImageNet, server: tuple[Path, str], tmp_path: Path
) -> None:
    (server[0] / "tiny-imagenet-200.zip").write_bytes(b"no archive")
    with pytest.raises(RunFailed, match="corrupted"):
        load("tiny-imagenet", data_root=tmp_path / "root")
    assert list((tmp_path / "root").iterdir()) == []


@pytest.mark.parametrize("problem", ["is missing", "has a wrong checksum"])
def test_an_incomplete_copy_of_cifar_is_refused_by_its_file(problem: str, cifar: Cifar, tmp_path: Path) -> None:
    load("cifar10", data_root=tmp_path)
    file = tmp_path / "cifar-10-batches-py" / "data_batch_3"
    if problem == "is missing":
        file.unlink()
    else:
        os.truncate(file, 100)
    with pytest.raises(InputError, match=rf"data_batch_3 {problem}; remove .* downloaded again"):
        load("cifar10", data_root=tmp_path)


def _without_an_image(root: Path) -> None:
    (root / "train/n01/images/n01_3.JPEG").unlink()


def _without_a_class(root: Path) -> None:
    shutil.rmtree(root / "train/n02")


def _without_labels(root: Path) -> None:
    (root / "val/val_annotations.txt").unlink()


def _without_a_label(root: Path) -> None:
    table = root / "val/val_annotations.txt"
    table.write_text(table.read_text().split("\n", 1)[1])


def _without_classes(root: Path) -> None:
    (root / "wnids.txt").write_text("\n")


def _with_classes_that_are_no_text(root: Path) -> None:
    (root / "wnids.txt").write_bytes(b"\xffn01\nn02\n")


def _with_labels_that_are_no_text(root: Path) -> None:
    (root / "val/val_annotations.txt").write_bytes(b"\xff")


def _with_a_foreign_class(root: Path) -> None:
    with (root / "val/val_annotations.txt").open("a") as table:
        table.write("val_0.JPEG\tn09\t0\t0\t1\t1\n")


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (_without_an_image, "train has 4 images of class 'n01', a whole copy 5"),
        (_without_a_class, "train has 0 images of class 'n02', a whole copy 5"),
        (_without_labels, "val_annotations.txt is missing"),
        (_without_a_label, "val has 1 images of class 'n02', a whole copy 2"),
        (_without_classes, "wnids.txt has no class"),
        (_with_classes_that_are_no_text, "wnids.txt is damaged: it is not UTF-8 text"),
        (_with_labels_that_are_no_text, "val_annotations.txt is damaged: it is not UTF-8 text"),
        (_with_a_foreign_class, "'n09"),
    ],
)
def test_an_incomplete_copy_of_tiny_imagenet_is_refused(
    damage: Callable[[Path], None], said: str, tiny: TinyImageNet, tmp_path: Path
) -> None:
    damage(tiny_imagenet_folder(tmp_path / "root", train_per_class=5, test_per_class=2))
    with pytest.raises(InputError) as refused:
        load("tiny-imagenet", data_root=tmp_path / "root")
    assert said.split("'")[0] in str(refused.value)
    assert "remove" in str(refused.value)


def test_a_name_without_a_data_root_is_refused() -> None:
    with pytest.raises(InputError, match="'cifar10' needs a data root"):
        load("cifar10")


# Normalisation and limits


def test_given_constants_stand_in_for_measured_ones() -> None:
    data = load("digits", normalisation=((0.25,), (0.5,)))
    assert (data.mean, data.std) == ((0.25,), (0.5,))
    measured = load("digits")
    assert data.split_sha256 == measured.split_sha256
    assert measured.mean != data.mean


def test_constants_for_other_channels_are_refused() -> None:
    with pytest.raises(InputError, match="is for 3 channels, the images of 'digits' have 1"):
        load("digits", normalisation=((0.5, 0.5, 0.5), (0.2, 0.2, 0.2)))


def test_a_limit_of_the_test_set_takes_each_class_in_its_share_and_leaves_the_rest_alone() -> None:
    whole, limited = load("digits"), load("digits", test_limit=50)
    assert len(limited.test) == 50
    assert (np.abs(np.bincount(limited.test.labels) - 50 * np.bincount(whole.test.labels) / 270) < 1).all()
    assert np.array_equal(limited.train.images, whole.train.images)
    with pytest.raises(InputError, match=r"test_limit must be at least 10 \(1 image for each of 10 classes\), got 9"):
        load("digits", test_limit=9)
