"""Small sets of images with boxes, in memory and as folders in VOC's layout."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from pictures import picture, png

from tune_kd.data.detection.detection_set import DetectionSet

Thing = tuple[str, Sequence[object]]  # a class, and xmin, ymin, xmax, ymax; a fifth value is difficult


def detection_set(count: int, seed: int = 0) -> DetectionSet:
    """So many images of noise, of 40 to 80 pixels a side, with no to three boxes of whole pixels each."""
    rng = np.random.default_rng(seed)
    sizes = rng.integers(40, 81, (count, 2))
    boxes = []
    for width, height in sizes:
        corner = rng.integers(0, (width // 2, height // 2), (int(rng.integers(4)), 2))
        extent = rng.integers(4, (width // 2, height // 2), corner.shape)
        boxes.append(np.concatenate([corner, corner + extent], axis=1).astype(np.float32))
    return DetectionSet.of(
        [png(picture(seed + number, (int(width), int(height)))) for number, (width, height) in enumerate(sizes)],
        boxes,
        [rng.integers(1, 4, len(each)) for each in boxes],
        [rng.random(len(each)) < 0.3 for each in boxes],
    )


def annotation(*things: Thing) -> str:
    """VOC's XML of an image with these things in it."""
    return f"<annotation><filename>any.jpg</filename>{''.join(map(_object, things))}</annotation>"


def _object(thing: Thing) -> str:
    name, (xmin, ymin, xmax, ymax, *difficult) = thing
    corners = {"xmin": xmin, "ymin": ymin, "xmax": xmax, "ymax": ymax}
    box = "".join(f"<{corner}>{value}</{corner}>" for corner, value in corners.items())
    flag = "".join(f"<difficult>{value}</difficult>" for value in difficult)
    return f"<object><name>{name}</name>{flag}<bndbox>{box}</bndbox></object>"


def voc_year(
    folder: Path,
    images: Mapping[str, Sequence[Thing]],
    lists: Mapping[str, Sequence[str]] | None = None,
    size: tuple[int, int] = (60, 40),
) -> Path:
    """Write images of noise, (width, height) pixels, with these things, and lists, into ``folder``, as VOC2007 is."""
    for name in ("Annotations", "JPEGImages", "ImageSets/Main"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    for number, (name, things) in enumerate(images.items()):
        picture(number, size).save(folder / "JPEGImages" / f"{name}.jpg")
        (folder / "Annotations" / f"{name}.xml").write_text(annotation(*things))
    for kind, names in (lists or {}).items():
        (folder / "ImageSets/Main" / f"{kind}.txt").write_text("".join(f"{name}\n" for name in names))
    return folder
