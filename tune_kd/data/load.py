"""One call from the name of a data set to its three parts in memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tune_kd.data.columns import Columns
from tune_kd.data.decode import Decoded
from tune_kd.data.decoded_cache import decode_cached
from tune_kd.data.digits import list_digits
from tune_kd.data.image_set import Channels, ImageData, ImageSet
from tune_kd.data.layout import list_folder
from tune_kd.data.listing import Listing, Source
from tune_kd.data.official import OFFICIAL, list_official
from tune_kd.data.split import Indices, check_loading, limit, split
from tune_kd.errors import InputError

NAMES = ("digits", *OFFICIAL)  # sources that are no folders
TEST_FRACTION = 0.15  # split off if the source has no test set of its own
_TEST, _LIMIT, _VALIDATION, _TEST_LIMIT = range(4)  # each draw has a stream of its own, so that none moves another


@dataclass(frozen=True, kw_only=True)
class Loading:
    """What is loaded, and how. Raises InputError for a value that cannot be.

    ``source`` is "digits", a name in :data:`tune_kd.data.official.OFFICIAL`, or a folder. A folder is in ImageFolder
    layout or of Hugging Face Parquet files, with the images in ``image_column`` and the labels in ``label_column``
    (None: as :class:`tune_kd.data.columns.Columns` finds them). The official sets lie in ``data_root``, and are
    downloaded to there if they do not.

    The test set is the folder's ``test*``, else its ``valid*`` or ``val``, else a stratified 15 % of all. The
    validation set is a stratified ``validation_fraction`` of the training set, after ``train_limit`` has reduced that
    to a stratified part of so many images; ``test_limit`` does that to the test set. The split is a function of the
    source, ``split_seed``, ``validation_fraction`` and the limits alone.

    Images are scaled to ``image_size`` pixels (None: they all have one square size already), and later normalised by
    ``normalisation``, mean and standard deviation by channel (None: those of the training part). Decoded images are
    kept in the folder ``cache`` (None: nowhere).
    """

    source: str
    image_size: int | None
    validation_fraction: float
    split_seed: int
    train_limit: int | None = None
    test_limit: int | None = None
    skip_bad_images: bool = False
    normalisation: tuple[Channels, Channels] | None = None
    data_root: Path | None = None
    cache: Path | None = None
    image_column: str | None = None
    label_column: str | None = None

    def __post_init__(self) -> None:
        check_loading(self.image_size, self.validation_fraction, self.split_seed)

    @property
    def name(self) -> str:
        """That of the data set: its folder's, where it is in one."""
        return self.source if self.source in NAMES else Path(self.source).expanduser().resolve().name


def load(wanted: Loading | str, **fields: Any) -> ImageData:
    """The images of a source, split in three and decoded; ``wanted`` is a :class:`Loading`, or its source and fields.

    Raises InputError for data that cannot be used, RunFailed for a download that fails.
    """
    if isinstance(wanted, str):
        wanted = Loading(source=wanted, **fields)
    found = _list(wanted.source, wanted.data_root, Columns(image=wanted.image_column, label=wanted.label_column))
    whole = found.train if found.test is None else found.train.joined(found.test)
    parts = _split(found.train, found.test, whole, wanted)
    decoded, row = _decode(whole, np.sort(np.concatenate(parts)), wanted)
    train, validation, test = (_gather(decoded, row[part], whole.labels[part]) for part in parts)
    data = ImageData(
        name=wanted.name,
        classes=whole.classes,
        train=train,
        validation=validation,
        test=test,
        skipped_images=int((~decoded.kept).sum()),
        left_out=found.left_out,
        test_from=found.test_from or f"{TEST_FRACTION:.0%} of the images, split off with seed {wanted.split_seed}",
        notes=found.notes,
        normalisation=wanted.normalisation,
    )
    _check_still_complete(data)
    return data


def _list(source: str, data_root: Path | None, columns: Columns) -> Source:
    """The training set, and the test set if the source has one of its own. There are at least two classes."""
    if source == "digits":
        found = Source(train=list_digits())
    elif source not in OFFICIAL:
        found = list_folder(source, columns)
    elif data_root is None:
        raise InputError(f"data {source!r} needs a data root: the folder where it lies or is downloaded to")
    else:
        found = list_official(source, data_root, columns)
    if columns and not found.is_parquet:
        raise InputError(f"--image-column and --label-column are for Parquet files, and {source!r} has none")
    if len(found.train.classes) < 2:
        [only] = found.train.classes
        raise InputError(f"{source!r} has one class, {only!r}; at least 2 are needed, each in a folder of its own")
    return found


def _split(
    pool: Listing, test_set: Listing | None, whole: Listing, wanted: Loading
) -> tuple[Indices, Indices, Indices]:
    """Train, validation and test: indices into ``whole``, which is ``pool`` and, if there is one, ``test_set``."""
    seed = wanted.split_seed
    if test_set is None:
        rest, test = split(pool, fraction=TEST_FRACTION, seed=(seed, _TEST), part="test")
    else:
        rest, test = np.arange(len(pool)), len(pool) + np.arange(len(test_set))
    rest = rest[limit(pool.take(rest), wanted.train_limit, seed=(seed, _LIMIT), name="train_limit", per_class=2)]
    train, validation = split(
        pool.take(rest), fraction=wanted.validation_fraction, seed=(seed, _VALIDATION), part="validation"
    )
    test = test[limit(whole.take(test), wanted.test_limit, seed=(seed, _TEST_LIMIT), name="test_limit", per_class=1)]
    return rest[train], rest[validation], test


def _decode(whole: Listing, used: Indices, wanted: Loading) -> tuple[Decoded, Indices]:
    """The images ``used``, and of each of ``whole`` its row among them: −1 for the bad and the unused.

    ``used`` is in the order of the source under any split: another split seed finds the same file in the cache.
    """
    decoded = decode_cached(
        whole.take(used).images,
        image_size=wanted.image_size,
        skip_bad_images=wanted.skip_bad_images,
        cache=None if wanted.source == "digits" else wanted.cache,
    )
    row = np.full(len(whole), -1)
    row[used[decoded.kept]] = np.arange(len(decoded.images))
    return decoded, row


def _gather(decoded: Decoded, rows: Indices, labels: NDArray[np.int64]) -> ImageSet:
    """The images in ``rows`` of ``decoded`` and their labels, without those of row −1."""
    good = rows >= 0
    return ImageSet(images=decoded.images[rows[good]], labels=labels[good])


def _check_still_complete(data: ImageData) -> None:
    """The skipped images must not have emptied a class of a part that needs it. Raises InputError."""
    parts: Sequence[tuple[str, ImageSet]] = (("training", data.train), ("validation", data.validation))
    for name, part in parts:
        counts = np.bincount(part.labels, minlength=len(data.classes))
        if not counts.all():
            missing = data.classes[int(counts.argmin())]
            raise InputError(f"class {missing!r} has no decodable image left in the {name} set; at least 1 needed")
    if not len(data.test):
        raise InputError("no image of the test set can be decoded; at least 1 needed")
