"""PASCAL VOC 2007 and 2012 (Everingham et al. 2010): both years' trainval to train on, 2007's test to test on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from tune_kd.data.detection.annotated import DetectionSource
from tune_kd.data.detection.voc_layout import IMAGES, LISTS, list_voc_folder
from tune_kd.data.official import fetch
from tune_kd.errors import InputError

CLASSES = (
    *("aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow", "diningtable", "dog"),
    *("horse", "motorbike", "person", "pottedplant", "sheep", "sofa", "train", "tvmonitor"),
)


class Archive(NamedTuple):
    """One of the archives, and its checksum."""

    url: str
    md5: str


def _archives() -> tuple[Archive, ...]:
    from torchvision.datasets.voc import DATASET_YEAR_DICT  # takes a second to import

    chosen = [DATASET_YEAR_DICT[year] for year in ("2007", "2007-test", "2012")]
    return tuple(Archive(one["url"], one["md5"]) for one in chosen)


@dataclass(frozen=True, kw_only=True)
class Voc:
    """``VOCdevkit``: its archives, and how many images each list of a whole copy has at least."""

    archives: tuple[Archive, ...] = field(default_factory=_archives)
    folder: str = "VOCdevkit"
    classes: tuple[str, ...] = CLASSES
    whole: Mapping[str, int] = field(
        default_factory=lambda: {"VOC2007/trainval": 5011, "VOC2007/test": 4952, "VOC2012/trainval": 11530}
    )

    @property
    def url(self) -> str:
        """The address of the first archive."""
        return self.archives[0].url

    def download(self, into: Path) -> None:
        """Raises RuntimeError for a wrong checksum, OSError without an answer."""
        from torchvision.datasets.utils import download_and_extract_archive

        for archive in self.archives:
            download_and_extract_archive(archive.url, str(into), md5=archive.md5, remove_finished=True)

    def read(self, root: Path) -> DetectionSource:
        """The copy in ``root``. Raises InputError for one that is not whole."""
        for name, least in self.whole.items():
            year, kind = name.split("/")
            self._check(root / self.folder / year, kind, least)
        return list_voc_folder(root / self.folder, self.classes)

    def _check(self, year: Path, kind: str, least: int) -> None:
        file = year / LISTS / f"{kind}.txt"
        try:
            names = file.read_text(encoding="utf-8").split()
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(f"{file} is missing or cannot be read") from error
        here = {path.stem for path in (year / IMAGES).glob("*.jpg")}
        found = len(here.intersection(names))
        if found < least:
            raise InputError(f"{year} has {found} images of its {kind} list, a whole copy {least}")


def list_voc(root: Path, official: Voc | None = None) -> DetectionSource:
    """VOC in ``root``; else ``root/voc``, any folder in VOC's layout; else it is downloaded into ``root``.

    Raises InputError for a copy that is not whole, RunFailed if there is none and the download fails.
    """
    official = official or Voc()
    if not (root / official.folder).exists():
        if (root / "voc").is_dir():
            return list_voc_folder(root / "voc", official.classes)
        fetch("voc", official, root, instead="a folder voc in the same layout")
    try:
        return official.read(root)
    except InputError as error:
        raise InputError(f"{error}; remove {root / official.folder} to have voc downloaded again") from error
