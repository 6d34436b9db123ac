"""Decoded images, kept from one command to the next."""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import PIL

from tune_kd.data.decode import Decoded, decode
from tune_kd.data.listing import EncodedImage
from tune_kd.data.threads import map_in_threads
from tune_kd.storage.whole_file import whole_file

_FORMAT_VERSION = 3  # raise it when decoding changes: files of other versions are never read


def decode_cached(
    encoded: Sequence[EncodedImage], *, image_size: int | None, skip_bad_images: bool, cache: Path | None
) -> Decoded:
    """As :func:`decode`, but from a file in the folder ``cache`` where an earlier call left one, else leaving one."""
    if cache is None:
        return decode(encoded, image_size=image_size, skip_bad_images=skip_bad_images)
    file = cache / f"images-{_key(encoded, image_size, skip_bad_images)}.npz"
    decoded = _read(file, len(encoded))
    if decoded is None:
        decoded = decode(encoded, image_size=image_size, skip_bad_images=skip_bad_images)
        _write(file, decoded)
    return decoded


def _key(encoded: Sequence[EncodedImage], image_size: int | None, skip_bad_images: bool) -> str:
    """A hash of all that the pixels depend on, so of the files' contents: two sets may agree in names, sizes and dates.

    Every file is read for it, which takes a small part of the time in which it would be decoded.
    """
    decoding = (_FORMAT_VERSION, PIL.__version__, image_size, skip_bad_images)
    digest = hashlib.sha256(repr(decoding).encode())
    digest.update(b"".join(map_in_threads(_content_sha256, encoded)))
    return digest.hexdigest()[:32]


def _content_sha256(image: EncodedImage) -> bytes:
    source = image.source
    if source is None:
        return hashlib.sha256().digest()
    if isinstance(source, bytes):
        return hashlib.sha256(source).digest()
    if isinstance(source, np.ndarray):
        return hashlib.sha256(repr(source.shape).encode() + source.tobytes()).digest()
    try:
        return hashlib.sha256(source.read_bytes()).digest()
    except OSError:  # decoding says so of each such file
        return hashlib.sha256(b"unreadable").digest()


def _read(file: Path, count: int) -> Decoded | None:
    """The content of the file; None if it is missing or damaged (zip files carry a checksum of each array)."""
    try:
        with file.open("rb") as stream, np.load(stream, allow_pickle=False) as arrays:
            decoded = Decoded(images=arrays["images"], kept=arrays["kept"])
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, NotImplementedError):
        return None
    whole = decoded.kept.shape == (count,) and len(decoded.images) == decoded.kept.sum()
    return decoded if whole else None


def _write(file: Path, decoded: Decoded) -> None:
    with whole_file(file) as stream:
        np.savez(stream, images=decoded.images, kept=decoded.kept)
