"""Any folder in the layout of PASCAL VOC: which of its images train and which test, and their annotations."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tune_kd.data.detection.annotated import Annotated, DetectionSource, names_in
from tune_kd.data.detection.voc_xml import read_annotation
from tune_kd.data.listing import EncodedImage
from tune_kd.data.names import one_spelling
from tune_kd.data.tree import image_endings, look
from tune_kd.errors import InputError

ANNOTATIONS, IMAGES, LISTS = "Annotations", "JPEGImages", Path("ImageSets", "Main")
LAYOUT = f"{ANNOTATIONS}/NAME.xml and {IMAGES}/NAME.jpg, with or without lists in {LISTS.as_posix()}"

_LIST_OF_CLASS = re.compile(r"(.+)_(?:train|val|trainval|test)\.txt")


@dataclass(frozen=True, kw_only=True, eq=False)  # compared by identity, so that it can be in a set
class Year:
    """A folder as VOC2007 is, its images and annotations by their names without endings."""

    folder: Path
    images: Mapping[str, Path]
    annotations: Mapping[str, Path]

    def list_file(self, kind: str) -> Path:
        """Where the list of images of a kind (trainval, test, …) lies, if there is one."""
        return self.folder / LISTS / f"{kind}.txt"

    def listed(self, kind: str) -> list[str]:
        """The names in the list of a kind; none without such a list. Raises InputError for one that is unreadable."""
        file = self.list_file(kind)
        if not file.is_file():
            return []
        try:
            lines = file.read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(f"the list {file} cannot be read: {error}") from error
        return list(dict.fromkeys(one_spelling(line.strip()) for line in lines if line.strip()))

    def annotated(self, name: str) -> Annotated:
        """The image of a name, whether it is there or not, and its objects."""
        path = self.images.get(name, self.folder / IMAGES / f"{name}.jpg")
        image = EncodedImage(f"{self.folder.name}/{IMAGES}/{path.name}", path)
        try:
            return Annotated(image, read_annotation(self.annotations.get(name, Path(f"{name}.xml"))))
        except ValueError as error:
            return Annotated(image, fault=f"{ANNOTATIONS}/{name}.xml: {error}")


Names = list[tuple[Year, str]]


def list_voc_folder(source: str | Path, classes: tuple[str, ...] | None = None) -> DetectionSource:
    """The images and objects of a folder in VOC's layout, or of a VOCdevkit, all of its years together.

    With a ``test`` list, that is the test set, and ``trainval`` (else ``train`` and ``val``) trains. Else ``val`` is
    the test set and ``train`` trains. Else all that is listed, without lists all that is annotated, is one set. The
    classes are ``classes``, else those that have lists of their own (``dog_trainval.txt``), else the names in the
    training images' annotations, sorted. Raises InputError for a folder that is missing, or has not this layout, or
    lists an image to train and to test.
    """
    years = _years(Path(source).expanduser().resolve())
    train, test, test_from = _parts(years)
    _check_apart(train, test)
    annotated = [year.annotated(name) for year, name in train]
    known = classes or _classes_with_lists(years) or names_in(annotated)
    if not known:
        raise InputError(f"no object is annotated in the {len(train)} training images of {str(source)!r}")
    return DetectionSource(
        classes=known,
        train=annotated,
        test=[year.annotated(name) for year, name in test] if test else None,
        test_from=test_from,
        left_out=_unannotated(years),
    ).checked()


def _years(root: Path) -> list[Year]:
    """The folders with annotations: the root itself, else in it, else in its VOCdevkit."""
    if not root.is_dir():
        raise InputError(f"no data folder {str(root)!r}; give a folder with {LAYOUT}")
    for folder in (root, root / "VOCdevkit"):
        found = [place for place in (folder, *look(folder).folders) if (place / ANNOTATIONS).is_dir()]
        if found:
            return [_year(place) for place in found]
    raise InputError(f"the folder {str(root)!r} has no {ANNOTATIONS}; it must have {LAYOUT}")


def _year(folder: Path) -> Year:
    images = look(folder / IMAGES).images
    if not images:
        raise InputError(f"no images ({', '.join(image_endings())}) in {folder / IMAGES}")
    annotations = [path for path in look(folder / ANNOTATIONS).others if path.suffix.lower() == ".xml"]
    return Year(folder=folder, images=_by_stem(images), annotations=_by_stem(annotations))


def _by_stem(files: Sequence[Path]) -> dict[str, Path]:
    return {one_spelling(file.stem): file for file in files}


def _parts(years: Sequence[Year]) -> tuple[Names, Names, str]:
    """The images to train on, those to test on, and the lists of the latter in words. Raises InputError for none."""
    for kind in ("test", "val"):
        test = [(year, name) for year in years for name in year.listed(kind)]
        train = [(year, name) for year in years for name in _training(year, kind)]
        if test and train:
            lists = [year.list_file(kind) for year in years if year.listed(kind)]
            return train, test, " and ".join(f"{file.parents[2].name}/{file.name}" for file in lists)
    every = [(year, name) for year in years for name in _training(year, "test") or sorted(year.annotations)]
    if not every:
        raise InputError(f"no annotation (NAME.xml) in {years[0].folder / ANNOTATIONS}")
    return every, [], ""


def _training(year: Year, held_out: str) -> list[str]:
    """What a year trains on where the list ``held_out`` is the test set."""
    if held_out == "val":
        return year.listed("train")
    return year.listed("trainval") or list(dict.fromkeys([*year.listed("train"), *year.listed("val")]))


def _check_apart(train: Names, test: Names) -> None:
    shared = set(train) & set(test)
    if shared:
        year, name = min(shared, key=lambda one: (one[0].folder, one[1]))
        more = f" (and {len(shared) - 1} more)" if len(shared) > 1 else ""
        folder = year.folder.name
        raise InputError(f"{folder} lists {name}{more} to train and to test; an image must be in one part only")


def _classes_with_lists(years: Sequence[Year]) -> tuple[str, ...]:
    files = (file.name for year in years for file in (year.folder / LISTS).glob("*_*.txt"))
    return tuple(sorted({found[1] for name in files if (found := _LIST_OF_CLASS.fullmatch(name))}))


def _unannotated(years: Sequence[Year]) -> dict[str, int]:
    """How many images have no annotation, in years without lists: a list says itself which images count."""
    unlisted = [year for year in years if not _training(year, "test")]
    bare = sum(len(year.images.keys() - year.annotations.keys()) for year in unlisted)
    return {"image without an annotation": bare} if bare else {}
