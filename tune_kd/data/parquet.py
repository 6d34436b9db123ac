"""Images in the Hugging Face image layout: Parquet files with ``image: struct<bytes, path>`` and ``label: int64``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from tune_kd.data.columns import Columns, class_names
from tune_kd.data.listing import EncodedImage, Listing
from tune_kd.data.pointers import LFS_POINTER, is_lfs_pointer
from tune_kd.errors import InputError


def list_parquet(
    files: Sequence[Path], root: Path, columns: Columns, label_names: tuple[str, ...] | None = None
) -> Listing:
    """The rows of ``files`` in order.

    The classes are those of the files' ``huggingface`` metadata, else ``label_names``, else the labels that occur, in
    order, each called by its number. Raises InputError for a file that is no Parquet file, other columns, labels that
    are null, negative or beyond the class names, and files without rows.
    """
    images: list[EncodedImage] = []
    labels: list[NDArray[np.int64]] = []
    notes: list[str] = []
    for file in files:
        name = file.relative_to(root).as_posix()
        table, (image, label) = _read(file, name, columns)
        names = class_names(table.schema, label)
        if names and label_names and names != label_names and labels:
            raise InputError(f"{name} has other class names than {files[0].relative_to(root).as_posix()}")
        label_names = names or label_names
        labels.append(_labels(table[label], name, label_names))
        cells = pc.struct_field(table[image], "bytes").to_pylist()
        images += [EncodedImage(f"{name} row {row}", cell) for row, cell in enumerate(cells)]
        if (image, label) != ("image", "label") and not columns:
            notes.append(f"the images are the column {image}, the labels {label}")
    if not images:
        raise InputError(f"no rows in {', '.join(file.name for file in files)} of {root}")
    every_label = np.concatenate(labels)
    if label_names is None:
        return _called_by_number(images, every_label, notes)
    return Listing(classes=label_names, images=images, labels=every_label, notes=tuple(notes))


def label_names(file: Path, columns: Columns) -> tuple[str, ...] | None:
    """The names of the labels of a readable file; None if it has none."""
    schema = pq.read_schema(file)
    return class_names(schema, columns.found_in(schema, file.name)[1])


def _read(file: Path, name: str, columns: Columns) -> tuple[pa.Table, tuple[str, str]]:
    try:
        chosen = columns.found_in(pq.read_schema(file), name)
        # label=3/ above is no label
        return pq.read_table(file, columns=list(dict.fromkeys(chosen)), partitioning=None), chosen
    except (pa.ArrowException, OSError) as error:
        if is_lfs_pointer(file):
            raise InputError(f"{name} is {LFS_POINTER}") from error
        raise InputError(f"{name} is not a readable Parquet file: {str(error).splitlines()[0]}") from error


def _labels(column: pa.ChunkedArray, name: str, classes: tuple[str, ...] | None) -> NDArray[np.int64]:
    """The labels as int64 [N], every one of them a class."""
    if column.null_count:
        row = pc.index(column.is_null(), True).as_py()
        raise InputError(f"{name} row {row} has no label; every image needs one")
    labels = column.cast(pa.int64()).to_numpy()
    outside = (labels < 0) | (labels >= (len(classes) if classes else np.iinfo(np.int64).max))
    if outside.any():
        row = int(outside.argmax())
        valid = f"0..{len(classes) - 1}" if classes else "0 or more"
        raise InputError(f"{name} row {row} has label {labels[row]}; labels must be {valid}")
    return np.asarray(labels, np.int64)


def _called_by_number(images: Sequence[EncodedImage], labels: NDArray[np.int64], notes: Sequence[str]) -> Listing:
    """Labels without names: those that occur are the classes."""
    used = np.unique(labels)
    if used[-1] >= len(used):
        gaps = ", not all of which occur" if used[-1] - used[0] >= len(used) else ""
        said = f"the labels have no names and are from {used[0]} to {used[-1]}{gaps}: taken as {len(used)} classes"
        notes = [*notes, said]
    classes = tuple(str(label) for label in used)
    return Listing(classes=classes, images=images, labels=np.searchsorted(used, labels), notes=tuple(notes))
