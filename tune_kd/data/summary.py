"""A data set that has been read, in the words that a run begins with."""

from __future__ import annotations

from tune_kd.data.image_set import ImageData


def in_words(data: ImageData) -> str:
    """``photos: 10 classes · 4,500 training, 500 validation, 1,000 test images · test set: test/``, in one line."""
    parts = f"{len(data.train):,} training, {len(data.validation):,} validation, {len(data.test):,} test images"
    skipped = [f"{data.skipped_images:,} more cannot be decoded"] if data.skipped_images else []
    return " · ".join([f"{data.name}: {len(data.classes):,} classes", parts, *skipped, f"test set: {data.test_from}"])


def remarks(data: ImageData) -> list[str]:
    """Remarks on data that are allowed, a line each: files left out, empty classes."""
    left_out = ", ".join(f"{count:,} × {kind}" for kind, count in sorted(data.left_out.items()))
    said = [*([f"left out: {left_out}"] if left_out else []), *data.notes]
    return [f"{data.name}: {text}" for text in said]
