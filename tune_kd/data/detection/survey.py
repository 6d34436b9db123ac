"""Encoded images read into memory and decoded once: which can be used, how large they are, the sums of their pixels."""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import PIL
from numpy.typing import NDArray

from tune_kd.data.decode import open_image, reason
from tune_kd.data.image_set import Channels
from tune_kd.data.listing import EncodedImage
from tune_kd.data.threads import map_in_threads
from tune_kd.storage.whole_file import whole_file

SMALLEST = 8  # pixels of a side: of less, torchvision's RandomIoUCrop may cut out nothing at all

_FORMAT_VERSION = 1  # raise it when decoding or a sum changes: files of other versions are never read
_VALUES = np.arange(256) / 255


@dataclass(frozen=True, kw_only=True)
class Survey:
    """What is known of N images after decoding each once."""

    sizes: NDArray[np.int64]  # [N, 2]: width and height; 0 of an image that cannot be used
    sums: NDArray[np.float64]  # [N, 2, 3]: by channel the sum of the pixels, in 0..1, and of their squares
    faults: NDArray[np.str_]  # [N]: why an image cannot be used; "" of the others


class _One(NamedTuple):
    size: tuple[int, int] = (0, 0)
    sums: NDArray[np.float64] = np.zeros((2, 3))
    fault: str = ""


def survey(images: Sequence[EncodedImage], cache: Path | None = None) -> tuple[list[bytes], Survey]:
    """The files of ``images``, ``b""`` for one that cannot be read, and what they hold.

    A survey is kept in the folder ``cache`` under a hash of the files' contents: 16,551 photographs take a minute or
    two of a core to decode.
    """
    read = map_in_threads(_read, images)
    contents, unread = [content for content, _ in read], [fault for _, fault in read]
    file = None if cache is None else cache / f"survey-{_key(contents)}.npz"
    found = None if file is None else _kept(file, len(images))
    if found is None:
        found = _all(map_in_threads(_survey_one, contents))
        if file is not None:
            with whole_file(file) as stream:
                np.savez(stream, sizes=found.sizes, sums=found.sums, faults=found.faults)
    faults = [why or fault for why, fault in zip(unread, found.faults.tolist(), strict=True)]
    return contents, Survey(sizes=found.sizes, sums=found.sums, faults=np.array(faults, np.str_))


def channel_statistics(found: Survey, rows: NDArray[np.int64]) -> tuple[Channels, Channels]:
    """Mean and standard deviation of each channel, in 0..1, over all pixels of the images in ``rows``."""
    pixels = found.sizes[rows].prod(axis=1).sum()
    mean, square = found.sums[rows].sum(axis=0) / pixels
    deviation = np.sqrt((square - mean**2).clip(min=0))
    return tuple(mean.tolist()), tuple(float(one) or 1.0 for one in deviation)  # a constant channel is only centred


def _read(image: EncodedImage) -> tuple[bytes, str]:
    """The file of an image, or why there is none."""
    if isinstance(image.source, bytes):
        return image.source, ""
    if not isinstance(image.source, Path):
        raise TypeError(f"{image.name} is given as {type(image.source).__name__}, must be a file or its bytes")
    try:
        return image.source.read_bytes(), ""
    except FileNotFoundError as error:
        return b"", reason(image, error) if image.source.is_symlink() else "there is no such file"
    except OSError as error:
        return b"", reason(image, error)


def _survey_one(content: bytes) -> _One:
    encoded = EncodedImage("", content)
    try:
        image = open_image(encoded)
    except Exception as error:  # a broken file makes PIL raise anything
        return _One(fault=reason(encoded, error))
    if min(image.size) < SMALLEST:
        return _One(fault=f"it has {image.width}×{image.height} pixels; each side must have at least {SMALLEST}")
    histogram = np.array(image.histogram()).reshape(3, 256)
    return _One(size=image.size, sums=np.stack([histogram @ _VALUES, histogram @ _VALUES**2]))


def _all(each: Sequence[_One]) -> Survey:
    return Survey(
        sizes=np.array([one.size for one in each], np.int64).reshape(-1, 2),
        sums=np.array([one.sums for one in each], np.float64).reshape(-1, 2, 3),
        faults=np.array([one.fault for one in each], np.str_),
    )


def _key(contents: Sequence[bytes]) -> str:
    digest = hashlib.sha256(repr((_FORMAT_VERSION, PIL.__version__, SMALLEST)).encode())
    digest.update(b"".join(map_in_threads(lambda content: hashlib.sha256(content).digest(), contents)))
    return digest.hexdigest()[:32]


def _kept(file: Path, count: int) -> Survey | None:
    """The survey in the file; None if it is missing or damaged (zip files carry a checksum of each array)."""
    try:
        with file.open("rb") as stream, np.load(stream, allow_pickle=False) as arrays:
            found = Survey(sizes=arrays["sizes"], sums=arrays["sums"], faults=arrays["faults"])
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, NotImplementedError):
        return None
    return found if len(found.sizes) == len(found.sums) == len(found.faults) == count else None
