"""The columns of a Parquet file that hold the images and the labels, and the names of the labels."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from tune_kd.data.names import one_spelling
from tune_kd.errors import InputError, unknown


@dataclass(frozen=True, kw_only=True)
class Columns:
    """The columns that the user named; None: they are found."""

    image: str | None = None
    label: str | None = None

    def __bool__(self) -> bool:
        return self.image is not None or self.label is not None

    def found_in(self, schema: pa.Schema, file: str) -> tuple[str, str]:
        """The image and the label column of a file.

        They are the named ones, else ``image`` and ``label``, else the only ones of a fitting type. Raises InputError
        for a column that is missing or of another type, and if several columns fit.
        """
        images = [field.name for field in schema if _holds_images(field.type)]
        numbers = [field.name for field in schema if pa.types.is_integer(field.type)]
        labels = [name for name in numbers if class_names(schema, name)] or numbers
        image = _chosen(self.image, "image", images, schema, file)
        label = _chosen(self.label, "label", numbers if self.label or "label" in numbers else labels, schema, file)
        if image is None or label is None:
            raise InputError(
                f"{file}: images could be {' or '.join(images)}, labels {' or '.join(labels)}; "
                "say which with --image-column NAME and --label-column NAME"
            )
        return image, label


def class_names(schema: pa.Schema, column: str) -> tuple[str, ...] | None:
    """``ClassLabel.names`` of a column in the metadata that the ``datasets`` library writes."""
    try:
        metadata: Any = json.loads((schema.metadata or {}).get(b"huggingface", b"{}"))
        names = metadata["info"]["features"][column]["names"]
    except (ValueError, KeyError, TypeError):
        return None
    return tuple(one_spelling(str(name)) for name in names) if names else None


def _holds_images(kind: pa.DataType) -> bool:
    return pa.types.is_struct(kind) and kind.get_field_index("bytes") >= 0


def _chosen(named: str | None, usual: str, fitting: list[str], schema: pa.Schema, file: str) -> str | None:
    """The named column, the usual one or the only one that fits; None if several fit."""
    if named is not None and named not in schema.names:
        raise unknown(f"column of {file}", named, schema.names)
    if not fitting or (named is not None and named not in fitting):
        raise InputError(_needed(schema, file, named))
    return named or (usual if usual in fitting else fitting[0] if len(fitting) == 1 else None)


def _needed(schema: pa.Schema, file: str, named: str | None) -> str:
    found = ", ".join(f"{field.name}: {field.type}" for field in schema) or "none"
    which = f", of which {named!r} is none" if named else ""
    return (
        f"{file} needs the columns image: struct<bytes: binary, path: string> and label: int64{which}; "
        f"its columns: {found}"
    )
