"""From encoded images to one array of pixels, in threads: PIL releases the GIL while it decodes."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from tune_kd.data.listing import EncodedImage
from tune_kd.data.pointers import LFS_POINTER, is_lfs_pointer
from tune_kd.data.threads import map_in_threads
from tune_kd.errors import InputError

_16_BITS = ("PNG", "PPM")  # formats whose integers, mode I, are 16 bits wide


@dataclass(frozen=True, kw_only=True)
class Decoded:
    """Pixels, uint8 [K, channels, size, size], of those K of N images that could be decoded: ``kept``, bool [N]."""

    images: NDArray[np.uint8]
    kept: NDArray[np.bool_]


def decode(encoded: Sequence[EncodedImage], *, image_size: int | None, skip_bad_images: bool) -> Decoded:
    """Decode all images to one square size.

    Files become RGB, of 16-bit grey the upper 8 bits. With ``image_size`` the short side is scaled to it (bilinear,
    antialiased) and the centre cut out; without, all images must be square and of one size. Raises InputError for an
    image of another size, and, naming the first, for images that cannot be decoded: all of them, or any where
    ``skip_bad_images`` is false.
    """
    pixels = map_in_threads(lambda image: _decode_one(image, image_size), encoded)
    bad = [(image.name, result) for image, result in zip(encoded, pixels, strict=True) if isinstance(result, str)]
    if bad and not skip_bad_images:
        more = f" (and {len(bad) - 1} more)" if len(bad) > 1 else ""
        hint = "mend it, or leave it out with --skip-bad-images"
        raise InputError(f"cannot decode {bad[0][0]}{more}: {bad[0][1]}; {hint}")
    if len(bad) == len(encoded):
        raise InputError(f"none of {len(encoded)} images can be decoded; the first is {bad[0][0]}: {bad[0][1]}")
    good = [(image.name, result) for image, result in zip(encoded, pixels, strict=True) if not isinstance(result, str)]
    _check_one_square_size(good)
    return Decoded(
        images=np.stack([result for _, result in good]),
        kept=np.array([not isinstance(result, str) for result in pixels]),
    )


def _decode_one(encoded: EncodedImage, image_size: int | None) -> NDArray[np.uint8] | str:
    """Pixels [channels, height, width], or why there are none."""
    try:
        image = open_image(encoded)
        if image_size is not None and image.size != (image_size, image_size):
            image = ImageOps.fit(image, (image_size, image_size), Image.Resampling.BILINEAR)
    except Exception as error:  # a broken file makes PIL raise anything from OSError to struct.error and SyntaxError
        return reason(encoded, error)
    pixels = np.asarray(image)
    return np.ascontiguousarray(pixels.transpose(2, 0, 1)) if pixels.ndim == 3 else pixels[None]


def reason(encoded: EncodedImage, error: Exception) -> str:
    """Why an image cannot be decoded, in one line."""
    source = encoded.source
    if isinstance(source, Path) and source.is_symlink() and not source.exists():
        return f"it is a link to {source.readlink()}, which is not there"
    if isinstance(source, Path | bytes) and is_lfs_pointer(source):
        return f"it is {LFS_POINTER}"
    return " ".join(str(error).split()) or type(error).__name__


def open_image(encoded: EncodedImage) -> Image.Image:
    """The image in RGB; in grey if its pixels are given. A broken file makes PIL raise anything."""
    if encoded.source is None:
        raise ValueError("it has no bytes")
    if isinstance(encoded.source, np.ndarray):
        return Image.fromarray(encoded.source)
    if isinstance(encoded.source, bytes):
        # The repr of a BytesIO, in PIL's own message, is an address: it has no meaning and differs in every run.
        try:
            return _rgb(Image.open(io.BytesIO(encoded.source)))
        except UnidentifiedImageError as error:
            raise ValueError("no known image format") from error
    with Image.open(encoded.source) as image:
        return _rgb(image)


def _rgb(image: Image.Image) -> Image.Image:
    """``image`` with 8 bits a channel; PIL itself clips wider greys at 255. Raises ValueError for an unknown range."""
    if image.mode.startswith("I;16") or (image.mode == "I" and image.format in _16_BITS):
        return Image.fromarray((np.asarray(image) >> 8).astype(np.uint8)).convert("RGB")
    if image.mode in ("I", "F"):
        raise ValueError(
            f"its pixels are of PIL's mode {image.mode}, whose range is not known; 8 or 16 bits are needed"
        )
    return image.convert("RGB")


def _check_one_square_size(pixels: Sequence[tuple[str, NDArray[np.uint8]]]) -> None:
    first_name, first = pixels[0]
    for name, image in pixels:
        height, width = image.shape[1:]
        if height != width:
            raise InputError(
                f"{name} is {width}×{height} pixels, not square; set image_size to scale and cut all images"
            )
        if image.shape != first.shape:
            raise InputError(
                f"{name} is {width}×{height} pixels, {first_name} is {first.shape[2]}×{first.shape[1]}; "
                "set image_size to scale all images"
            )
