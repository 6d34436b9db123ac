"""Digit scenes: scikit-learn's handwritten digits on coloured canvases, their boxes known. Embedded, no download.

A scene has one to three digits of random size, place and colour. Each of the 1,797 digits is in one scene only, so that
no scene of one part shows a digit of another part. The same scenes are made everywhere.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tune_kd.data.detection.annotated import Annotated, DetectionSource, LabelledBox
from tune_kd.data.listing import EncodedImage

CANVAS = 64  # pixels of a side
MOST_DIGITS = 3  # in a scene
HEIGHTS = (16, 32)  # of a digit, in pixels, the larger excluded
SEED = 0

_OVERLAP = 0.1  # of the smaller box, at most
_PLACES_TRIED = 50  # for a digit; then it opens the next scene
_INK = 5  # of 16: what is fainter is no part of a digit's outline, and would make its box too large
_NOISE = 10.0  # standard deviation, of 255
_DARK, _BRIGHT = (0, 110), (140, 256)  # of a canvas and of ink, by channel

Box = tuple[int, int, int, int]
Grey = NDArray[np.float64]  # [height, width]


def list_digit_scenes() -> DetectionSource:
    """All scenes with their boxes. There is no test set of their own."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    rng = np.random.default_rng(SEED)
    order = rng.permutation(len(digits.target))
    scenes = _scenes([digits.images[index] for index in order], [str(digits.target[index]) for index in order], rng)
    return DetectionSource(classes=tuple(str(digit) for digit in range(10)), train=list(scenes))


def _scenes(glyphs: Sequence[Grey], names: Sequence[str], rng: np.random.Generator) -> Iterator[Annotated]:
    """Scenes until every digit is in one."""
    used = made = 0
    while used < len(glyphs):
        canvas = rng.uniform(*_DARK, size=3) + rng.normal(0, _NOISE, (CANVAS, CANVAS, 3))
        objects: list[LabelledBox] = []
        for glyph in glyphs[used : used + int(rng.integers(1, MOST_DIGITS + 1))]:
            ink = _scaled(glyph, int(rng.integers(*HEIGHTS)))
            box = _place(ink, [labelled.box for labelled in objects], rng)
            if box is None:
                break
            left, top, right, bottom = box
            under = canvas[top:bottom, left:right]
            under += ink[..., None] * (rng.uniform(*_BRIGHT, size=3) - under)
            objects.append(LabelledBox(names[used + len(objects)], (left, top, right, bottom)))
        yield Annotated(EncodedImage(f"scene {made}", _encoded(canvas)), objects)
        made, used = made + 1, used + len(objects)


def _scaled(glyph: Grey, height: int) -> Grey:
    """A digit without its faint rim, of grey 0..16 made opacity 0..1, scaled to ``height`` with its aspect kept."""
    rows, columns = np.nonzero(glyph >= _INK)
    ink = glyph[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]
    width = round(height * ink.shape[1] / ink.shape[0])
    scaled = Image.fromarray((ink / 16).astype(np.float32)).resize((width, height), Image.Resampling.BILINEAR)
    return np.asarray(scaled, np.float64)


def _place(ink: Grey, taken: Sequence[Sequence[float]], rng: np.random.Generator) -> Box | None:
    """A place for a digit beside the boxes ``taken``; None if none was found."""
    height, width = ink.shape
    for _ in range(_PLACES_TRIED):
        left, top = (int(rng.integers(0, CANVAS - side + 1)) for side in (width, height))
        box = (left, top, left + width, top + height)
        if all(_overlap(box, other) <= _OVERLAP for other in taken):
            return box
    return None


def _overlap(one: Sequence[float], other: Sequence[float]) -> float:
    """The area in both boxes as a share of the smaller box."""
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (one, other)]
    return max(width, 0) * max(height, 0) / min(areas)


def _encoded(canvas: NDArray[np.float64]) -> bytes:
    """As a PPM file: not compressed, so the same bytes whatever the compressor, and decoded at once."""
    pixels = np.round(canvas).clip(0, 255).astype(np.uint8)
    return b"P6 %d %d 255\n" % (CANVAS, CANVAS) + pixels.tobytes()
