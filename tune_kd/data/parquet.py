"""Images in the Hugging Face image layout: Parquet files with ``image: struct<bytes, path>`` and ``label: int64``."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from tune_kd.data.listing import EncodedImage, Listing, file_version
from tune_kd.errors import InputError


def list_parquet(files: Sequence[Path], root: Path, classes: tuple[str, ...] | None = None) -> Listing:
    """The rows of ``files`` in order.

    The class names are those of the files' ``huggingface`` metadata, else ``classes``, else the labels as text.
    Raises InputError for a file that is no Parquet file, other columns, labels that are null, negative or beyond the
    class names, and files without rows.
    """
    images: list[EncodedImage] = []
    labels: list[NDArray[np.int64]] = []
    for file in files:
        name = file.relative_to(root).as_posix()
        table = _read(file, name)
        names = _class_names(table.schema)
        if names and classes and names != classes and labels:
            raise InputError(f"{name} has other class names than {files[0].relative_to(root).as_posix()}")
        classes = names or classes
        labels.append(_labels(table["label"], name, classes))
        cells = pc.struct_field(table["image"], "bytes").to_pylist()
        version = file_version(file)
        images += [EncodedImage(f"{name} row {row}", cell, (*version, row)) for row, cell in enumerate(cells)]
    if not images:
        raise InputError(f"no rows in {', '.join(file.name for file in files)} of {root}")
    every_label = np.concatenate(labels)
    return Listing(
        classes=classes or tuple(str(label) for label in range(int(every_label.max()) + 1)),
        images=images,
        labels=every_label,
    )


def _read(file: Path, name: str) -> pa.Table:
    try:
        _check_columns(name, pq.read_schema(file))
        return pq.read_table(file, columns=["image", "label"], partitioning=None)  # label=3/ above is no label
    except (pa.ArrowException, OSError) as error:
        raise InputError(f"{name} is not a readable Parquet file: {str(error).splitlines()[0]}") from error


def _check_columns(name: str, schema: pa.Schema) -> None:
    image = schema.field("image").type if "image" in schema.names else None
    label = schema.field("label").type if "label" in schema.names else None
    if not (image and pa.types.is_struct(image) and image.get_field_index("bytes") >= 0):
        raise InputError(_columns_error(name, schema))
    if not (label and pa.types.is_integer(label)):
        raise InputError(_columns_error(name, schema))


def _columns_error(name: str, schema: pa.Schema) -> str:
    found = ", ".join(f"{field.name}: {field.type}" for field in schema) or "none"
    return f"{name} needs the columns image: struct<bytes: binary, path: string> and label: int64; its columns: {found}"


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


def _class_names(schema: pa.Schema) -> tuple[str, ...] | None:
    """``ClassLabel.names`` of the column ``label`` in the metadata that the ``datasets`` library writes."""
    try:
        metadata = json.loads((schema.metadata or {}).get(b"huggingface", b"{}"))
        names = metadata["info"]["features"]["label"]["names"]
    except (ValueError, KeyError, TypeError):
        return None
    return tuple(map(str, names)) if names else None
