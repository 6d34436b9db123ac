"""A few images of a pool, for people: one picture with a row for each class, as the report draws it.

The report is made of the store alone, so the picture is kept in the row of every run that used the pool. It is a PNG of
at most :data:`MOST` images. Real images are not in it: a store may be shared.
"""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tune_kd.synthesis.pool import Pool

A_CLASS = 8  # images of each class at most
MOST = 80  # images in all
GAP = 1  # pixels between two images


def examples_json(pool: Pool, classes: Sequence[str]) -> str:
    """The first images of each class that were aimed at it, as JSON: ``classes``, ``size``, ``gap`` and ``png``.

    ``classes`` names the rows of the picture from above, each an image of ``size`` pixels high and ``gap`` pixels from
    the next. Classes beyond :data:`MOST` are left out, and what a class lacks is black.
    """
    labels, shown = pool.labels.numpy(), classes[:MOST]
    columns = max(1, min(A_CLASS, MOST // len(shown)))
    first = [np.flatnonzero(labels == label)[:columns] for label in range(len(shown))]
    rows = [_row(pool.images[places].numpy(), columns) for places in first]
    gap = np.zeros((GAP, *rows[0].shape[1:]), np.uint8)
    sheet = np.concatenate([part for row in rows for part in (row, gap)][:-1])
    found = {"classes": list(shown), "size": pool.images.shape[2], "gap": GAP, "png": _png(sheet)}
    return json.dumps(found, ensure_ascii=False)


def _row(images: NDArray[np.uint8], columns: int) -> NDArray[np.uint8]:
    """Images, uint8 [n, C, size, size] with n ≤ ``columns``, side by side: [size, width, C]."""
    _, channels, size, _ = images.shape
    row = np.zeros((size, columns * (size + GAP) - GAP, channels), np.uint8)
    for place, image in enumerate(images):
        left = place * (size + GAP)
        row[:, left : left + size] = image.transpose(1, 2, 0)
    return row


def _png(pixels: NDArray[np.uint8]) -> str:
    file = io.BytesIO()
    Image.fromarray(pixels.squeeze(2) if pixels.shape[2] == 1 else pixels).save(file, "PNG", optimize=True)
    return base64.b64encode(file.getvalue()).decode()
