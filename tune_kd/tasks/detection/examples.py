"""A few images of a test, what is in them and what was found there: for people, as the report draws it.

The report is made of the store alone, so whatever it is to draw is kept with the test's other figures, in every tested
trial's row. That has to stay small: four images, of each the surest detections, and a thumbnail of 2 to 4 kB as JPEG.
The thumbnail is kept only where the data set is one of those with a name, which are public. A user's own photographs
are not put into a store that may be shared: their boxes are kept, and the image's index.
"""

from __future__ import annotations

import base64
import io
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tune_kd.data.detection import DetectionData, DetectionSet
from tune_kd.tasks.detection.detections import Detections, Truth
from tune_kd.tasks.detection.scores import SCORE_THRESHOLD

IMAGES = 4
SIDE = 96  # pixels of a thumbnail at most
MOST_FOUND = 10  # detections of an image
JPEG_QUALITY = 75


def examples(found: Detections, there: Truth, data: DetectionData, *, pictures: bool) -> list[dict[str, Any]]:
    """The first images of the test set that have an object: the same ones for every trial, so that these compare.

    Each has its index in the test set, the side of the square in whose pixels its boxes are, its objects, and its
    detections with a probability of at least 0.5 by falling probability. With ``pictures`` it has a ``jpeg``, base64,
    of the image as the network gets it, whatever its aspect.
    """
    shown = np.unique(there.image)[:IMAGES].tolist()
    return [_example(image, found, there, data, pictures) for image in shown]


def _example(image: int, found: Detections, there: Truth, data: DetectionData, pictures: bool) -> dict[str, Any]:
    objects = np.flatnonzero(there.image == image)
    sure = np.flatnonzero((found.image == image) & (found.scores >= SCORE_THRESHOLD))
    sure = sure[np.argsort(-found.scores[sure], kind="stable")][:MOST_FOUND]
    return {
        "image": image,
        "size": data.image_size,
        "objects": [
            {
                "class": data.classes[there.labels[row] - 1],
                "box": _box(there.boxes[row]),
                "difficult": bool(there.difficult[row]),
            }
            for row in objects
        ],
        "detections": [
            {
                "class": data.classes[found.labels[row] - 1],
                "box": _box(found.boxes[row]),
                "score": round(float(found.scores[row]), 3),
            }
            for row in sure
        ],
        **({"jpeg": _thumbnail(data.test, image, data.image_size)} if pictures else {}),
    }


def _box(corners: NDArray[np.float32]) -> list[float]:
    """To a tenth of a pixel, which no eye can tell."""
    return [round(float(value), 1) for value in corners]


def _thumbnail(part: DetectionSet, image: int, image_size: int) -> str:
    side = min(image_size, SIDE)
    scaled = Image.fromarray(part.pixels(image).permute(1, 2, 0).numpy()).resize((side, side))
    file = io.BytesIO()
    scaled.save(file, "JPEG", quality=JPEG_QUALITY)
    return base64.b64encode(file.getvalue()).decode()
