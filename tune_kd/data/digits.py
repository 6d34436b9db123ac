"""scikit-learn's handwritten digits: 1,797 real grey images of 8×8 pixels, part of the package, no download."""

from __future__ import annotations

import numpy as np

from tune_kd.data.listing import EncodedImage, Listing


def list_digits() -> Listing:
    """All the digits, uint8 [8, 8] each. Their 17 grey levels 0..16 are spread over 0..255."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    images = np.round(digits.images * (255 / 16)).astype(np.uint8)
    return Listing(
        classes=tuple(str(digit) for digit in range(10)),
        images=[EncodedImage(f"digit {index}", image) for index, image in enumerate(images)],
        labels=digits.target.astype(np.int64),
    )
