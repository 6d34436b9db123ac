"""PASCAL VOC by its name: downloaded by the real code from a server here, checked, whole or not there at all."""

from __future__ import annotations

import re
import shutil
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from archives import md5, served
from detections import Thing, voc_year

from tune_kd.data.detection import DetectionData, DetectionLoading, load
from tune_kd.data.detection.voc import CLASSES, Archive, Voc
from tune_kd.errors import InputError, RunFailed

DOG: Thing = ("dog", (11, 6, 30, 25))
HARD: Thing = ("dog", (2, 2, 9, 9, 1))
FLOAT_PERSON: Thing = ("person", ("5.5", "6.25", "30.75", "33", 0))  # as 2011_003353 has them
OLD, NEW = tuple(f"{number:06}" for number in range(1, 13)), tuple(f"2011_{number:06}" for number in range(6))
TRAINED, TESTED = OLD[:8], OLD[8:]


@pytest.fixture
def server(tmp_path: Path) -> Iterator[tuple[Path, str]]:
    """A folder and the address at which it is served."""
    (tmp_path / "server").mkdir()
    with served(tmp_path / "server") as address:
        yield tmp_path / "server", address


@pytest.fixture
def voc(server: tuple[Path, str], tmp_path: Path) -> Voc:
    """A small VOC on the server: the two years in three archives, 2007's test images in the folder of its others."""
    parts = {
        "2007": ("VOC2007", dict.fromkeys(TRAINED, (DOG, HARD)) | {TRAINED[1]: ()}, {"trainval": TRAINED}),
        "2007-test": ("VOC2007", dict.fromkeys(TESTED, (DOG, HARD)), {"test": TESTED}),
        "2012": ("VOC2012", dict.fromkeys(NEW, (FLOAT_PERSON,)), {"trainval": NEW}),
    }
    archives = []
    for name, (year, images, lists) in parts.items():
        kit = tmp_path / "made" / name / "VOCdevkit"
        voc_year(kit / year, images, lists)
        archive = server[0] / f"{name}.tar"
        with tarfile.open(archive, "w") as tar:
            tar.add(kit, arcname=kit.name)
        archives.append(Archive(f"{server[1]}/{archive.name}", md5(archive)))
    whole = {"VOC2007/trainval": 8, "VOC2007/test": 4, "VOC2012/trainval": 6}
    return Voc(archives=tuple(archives), whole=whole)


def read(root: Path, voc: Voc) -> DetectionData:
    return load(DetectionLoading(source="voc", data_root=root, voc=voc))


def test_it_is_published_where_torchvision_says_with_its_checksums() -> None:
    official = Voc()
    assert [archive.md5 for archive in official.archives] == [
        "c52e279531787c972589f7e41ab4ae64",
        "b6e924de25625d8de591ea690078ad9f",
        "6cd6e144f989b92b3379bac3b3de84fd",
    ]
    # torchvision 0.26 names another computer of the same university.
    assert all(re.match(r"https?://\w+\.robots\.ox\.ac\.uk/pascal/VOC/", one.url) for one in official.archives)
    assert official.whole["VOC2007/trainval"] + official.whole["VOC2012/trainval"] == 16541, "as the paper counts them"
    assert len(CLASSES) == 20
    assert list(CLASSES) == sorted(CLASSES)


def test_it_is_downloaded_once_and_both_years_train(voc: Voc, tmp_path: Path) -> None:
    root = tmp_path / "root"
    data = read(root, voc)
    assert [path.name for path in root.iterdir()] == ["VOCdevkit"], "neither archive nor anything half-made"
    assert (data.name, data.classes, data.test_from) == ("voc", CLASSES, "VOC2007/test.txt")
    assert (len(data.train) + len(data.validation), len(data.test)) == (14, 4)
    assert data.test.boxes.tolist() == [[10, 5, 30, 25], [1, 1, 9, 9]] * 4
    assert data.test.labels.tolist() == [1 + CLASSES.index("dog")] * 8
    assert data.test.difficult.tolist() == [False, True] * 4
    floats = [4.5, 5.25, 30.75, 33.0]
    assert [*data.train.boxes.tolist(), *data.validation.boxes.tolist()].count(floats) == 6
    shutil.rmtree(tmp_path / "server")
    assert read(root, voc).split_sha256 == data.split_sha256


def test_a_copy_that_is_there_is_read_without_a_server_and_a_folder_of_the_name_as_well(
    voc: Voc, tmp_path: Path
) -> None:
    whole = read(tmp_path / "root", voc)
    nowhere = Voc(archives=(Archive("http://127.0.0.1:9/none.tar", ""),), whole=voc.whole)
    assert read(tmp_path / "root", nowhere).split_sha256 == whole.split_sha256
    (tmp_path / "root/VOCdevkit").rename(tmp_path / "root/voc")
    assert read(tmp_path / "root", nowhere).split_sha256 == whole.split_sha256


@pytest.mark.parametrize("damage", ["missing archive", "half an archive", "another archive"])
def test_a_failed_download_leaves_nothing_behind(
    damage: str, voc: Voc, server: tuple[Path, str], tmp_path: Path
) -> None:
    archive = server[0] / "2012.tar"
    whole = archive.read_bytes()
    archive.unlink()
    if damage == "half an archive":
        archive.write_bytes(whole[: len(whole) // 2])
    elif damage == "another archive":
        archive.write_bytes(whole[::-1])
    with pytest.raises(RunFailed, match=r"voc is not in .* and cannot be downloaded from http") as failure:
        read(tmp_path / "root", voc)
    assert "put VOCdevkit, or a folder voc in the same layout, into DIR and give --data-root DIR" in str(failure.value)
    assert "\n" not in str(failure.value)
    assert list((tmp_path / "root").iterdir()) == []


@pytest.mark.parametrize(
    ("missing", "said"),
    [
        ("VOC2012", "VOC2012/ImageSets/Main/trainval.txt is missing or cannot be read"),
        ("VOC2007/ImageSets/Main/test.txt", "test.txt is missing or cannot be read"),
        ("VOC2007/JPEGImages/000003.jpg", "VOC2007 has 7 images of its trainval list, a whole copy 8"),
    ],
)
def test_a_copy_that_is_not_whole_is_refused(missing: str, said: str, voc: Voc, tmp_path: Path) -> None:
    read(tmp_path, voc)
    lost = tmp_path / "VOCdevkit" / missing
    shutil.rmtree(lost) if lost.is_dir() else lost.unlink()
    with pytest.raises(InputError) as refused:
        read(tmp_path, voc)
    assert said in str(refused.value)
    assert str(refused.value).endswith(f"remove {tmp_path / 'VOCdevkit'} to have voc downloaded again")


def test_an_unknown_class_is_one_that_voc_has_not(voc: Voc, tmp_path: Path) -> None:
    read(tmp_path, voc)
    file = tmp_path / "VOCdevkit/VOC2007/Annotations/000002.xml"
    file.write_text((file.parent / "000001.xml").read_text().replace(">dog<", ">wolf<"))
    with pytest.raises(InputError, match=r"000002\.jpg: it has an object of the unknown class 'wolf'; .*aeroplane"):
        read(tmp_path, voc)


def test_the_name_without_a_data_root_is_refused() -> None:
    with pytest.raises(InputError, match="'voc' needs a data root"):
        load(DetectionLoading(source="voc"))
