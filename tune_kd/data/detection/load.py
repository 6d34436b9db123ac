"""One call from the name of a detection data set to its three parts in memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tune_kd.data.detection.annotated import Annotated, DetectionSource
from tune_kd.data.detection.boxes import Fitted, fit
from tune_kd.data.detection.detection_set import DetectionData, DetectionSet
from tune_kd.data.detection.digit_scenes import CANVAS, list_digit_scenes
from tune_kd.data.detection.split import Indices, limit, split
from tune_kd.data.detection.survey import Survey, channel_statistics, survey
from tune_kd.data.detection.voc import Voc, list_voc
from tune_kd.data.detection.voc_layout import list_voc_folder
from tune_kd.data.image_set import Channels
from tune_kd.data.split import check_loading
from tune_kd.errors import InputError

NAMES = ("digit-scenes", "voc")  # sources that are no folders
TEST_FRACTION = 0.15  # split off if the source has no test set of its own
PHOTOGRAPHS = 300  # pixels: the size of SSD300, for photographs where no other is asked for
_TEST, _LIMIT, _VALIDATION, _TEST_LIMIT = range(4)  # each draw has a stream of its own, so that none moves another

CUT = "part of a box outside its image"  # its kind in DetectionData.left_out


@dataclass(frozen=True, kw_only=True)
class DetectionLoading:
    """What is loaded, and how. Raises InputError for a value that cannot be.

    ``source`` is "digit-scenes", "voc" or a folder in VOC's layout. VOC lies in ``data_root``, and is downloaded to
    there if it does not.

    The test set is the source's own, else a seeded 15 % of all. The validation set is a seeded ``validation_fraction``
    of the training set, after ``train_limit`` has reduced that to a seeded part of so many images; ``test_limit`` does
    that to the test set. The split is a function of the source, ``split_seed``, ``validation_fraction`` and the limits
    alone.

    Images are scaled to ``image_size`` pixels a side when they are batched (None: 64 for the digit scenes, else 300),
    and normalised by ``normalisation``, mean and standard deviation by channel (None: those of the training part). An
    image that cannot be decoded, or whose annotation has a fault, is refused; with ``skip_bad_images`` it is left out.
    What is measured of the images is kept in the folder ``cache`` (None: nowhere).
    """

    source: str
    image_size: int | None = None
    validation_fraction: float = 0.1
    split_seed: int = 0
    train_limit: int | None = None
    test_limit: int | None = None
    skip_bad_images: bool = False
    normalisation: tuple[Channels, Channels] | None = None
    data_root: Path | None = None
    cache: Path | None = None
    voc: Voc | None = None  # how VOC is published; None: as it is

    def __post_init__(self) -> None:
        check_loading(self.image_size, self.validation_fraction, self.split_seed)
        if self.normalisation and len(self.normalisation[0]) != 3:
            raise InputError(f"normalisation is for {len(self.normalisation[0])} channels; images with boxes have 3")

    @property
    def name(self) -> str:
        """That of the data set: its folder's, where it is in one."""
        return self.source if self.source in NAMES else Path(self.source).expanduser().resolve().name

    @property
    def size(self) -> int:
        """The side of an image in pixels, as the network gets it."""
        return self.image_size or (CANVAS if self.source == "digit-scenes" else PHOTOGRAPHS)


def load(wanted: DetectionLoading) -> DetectionData:
    """The images and objects of a source, split in three, their files in memory.

    Raises InputError for data that cannot be used, RunFailed for a download that fails.
    """
    found = _list(wanted)
    whole = [*found.train, *(found.test or ())]
    parts = _split(found, wanted)
    used = np.sort(np.concatenate(parts))  # in the source's order under any split: another one finds the same survey
    images = [whole[index] for index in used]
    contents, surveyed = survey(
        [one.image for one in images], None if wanted.source == "digit-scenes" else wanted.cache
    )
    fitted = [fit(one.objects, width, height) for one, (width, height) in zip(images, surveyed.sizes, strict=True)]
    good = _usable(images, surveyed, fitted, wanted.skip_bad_images)
    rows = [row[good[row]] for row in (np.searchsorted(used, part) for part in parts)]
    train, validation, test = (_gather(images, contents, fitted, found.classes, part) for part in rows)
    _check_complete(train, validation, test)
    mean, std = wanted.normalisation or channel_statistics(surveyed, rows[0])
    cut = sum(fitted[row].cut for part in rows for row in part)
    return DetectionData(
        name=wanted.name,
        classes=found.classes,
        image_size=wanted.size,
        train=train,
        validation=validation,
        test=test,
        mean=mean,
        std=std,
        skipped_images=int((~good).sum()),
        left_out={**found.left_out, **({CUT: cut} if cut else {})},
        test_from=found.test_from or f"{TEST_FRACTION:.0%} of the images, split off with seed {wanted.split_seed}",
        notes=(*found.notes, *_notes(found.classes, train, validation, test)),
    )


def _list(wanted: DetectionLoading) -> DetectionSource:
    """The training set, and the test set if the source has one of its own."""
    if wanted.source == "digit-scenes":
        return list_digit_scenes()
    if wanted.source != "voc":
        return list_voc_folder(wanted.source)
    if wanted.data_root is None:
        raise InputError("data 'voc' needs a data root: the folder where it lies or is downloaded to")
    return list_voc(wanted.data_root, wanted.voc)


def _split(found: DetectionSource, wanted: DetectionLoading) -> tuple[Indices, Indices, Indices]:
    """Train, validation and test: indices into the training images and, after them, the test images."""
    seed, count = wanted.split_seed, len(found.train)
    if found.test is None:
        rest, test = split(count, fraction=TEST_FRACTION, seed=(seed, _TEST), part="test")
    else:
        rest, test = np.arange(count), count + np.arange(len(found.test))
    rest = rest[limit(len(rest), wanted.train_limit, seed=(seed, _LIMIT), name="train_limit", least=3)]
    train, validation = split(
        len(rest), fraction=wanted.validation_fraction, seed=(seed, _VALIDATION), part="validation"
    )
    test = test[limit(len(test), wanted.test_limit, seed=(seed, _TEST_LIMIT), name="test_limit", least=1)]
    return rest[train], rest[validation], test


def _usable(
    images: Sequence[Annotated], surveyed: Survey, fitted: Sequence[Fitted], skip_bad_images: bool
) -> NDArray[np.bool_]:
    """Which images have no fault, bool [N]. Raises InputError, naming the first, if one has and is not to be skipped.

    Of an image with several faults the first is told: that of its file, of its annotation, of a box.
    """
    faults = [
        undecodable or image.fault or fit.fault
        for undecodable, image, fit in zip(surveyed.faults.tolist(), images, fitted, strict=True)
    ]
    bad = [(image.image.name, fault) for image, fault in zip(images, faults, strict=True) if fault]
    if bad and not skip_bad_images:
        more = f" (and {len(bad) - 1} more)" if len(bad) > 1 else ""
        hint = "mend it, or leave such images out with --skip-bad-images"
        raise InputError(f"cannot use {bad[0][0]}{more}: {bad[0][1]}; {hint}")
    if len(bad) == len(images):
        raise InputError(f"none of {len(images)} images can be used; the first is {bad[0][0]}: {bad[0][1]}")
    return np.array([not fault for fault in faults])


def _gather(
    images: Sequence[Annotated],
    contents: Sequence[bytes],
    fitted: Sequence[Fitted],
    classes: Sequence[str],
    rows: Indices,
) -> DetectionSet:
    """The images in ``rows`` and their objects, labelled from 1: 0 is the background."""
    label_of = {name: label for label, name in enumerate(classes, start=1)}
    return DetectionSet.of(
        [contents[row] for row in rows],
        [fitted[row].boxes for row in rows],
        [np.array([label_of[one.name] for one in images[row].objects], np.int64) for row in rows],
        [np.array([one.difficult for one in images[row].objects], np.bool_) for row in rows],
    )


def _check_complete(train: DetectionSet, validation: DetectionSet, test: DetectionSet) -> None:
    """Each part needs an object to find, and training two images. Raises InputError."""
    for name, part in (("training", train), ("validation", validation), ("test", test)):
        if part.difficult.all():  # also of no objects
            what = "no object" if not len(part.labels) else "no object that is not difficult"
            raise InputError(f"the {len(part)} images of the {name} set have {what}; at least 1 needed")
    if len(train) < 2:
        raise InputError(f"{len(train)} image is left in the training set; at least 2 needed")


def _notes(classes: Sequence[str], train: DetectionSet, validation: DetectionSet, test: DetectionSet) -> list[str]:
    """What is notable about the parts, a line each."""
    notes = []
    for name, part in (("training", train), ("validation", validation), ("test", test)):
        bare = int((np.diff(part.objects_at) == 0).sum())
        if bare:
            notes.append(f"{bare:,} of {len(part):,} {name} images have no object; they are kept")
        there = np.bincount(part.labels[~part.difficult], minlength=len(classes) + 1)[1:]
        absent = [label for label, count in zip(classes, there, strict=True) if not count]
        if absent:
            notes.append(f"the {name} set has no object of {', '.join(absent)}")
    return notes
