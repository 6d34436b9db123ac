"""Small image sets, written to disk with PIL and pyarrow."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pictures import picture, png

MakeFolder = Callable[..., Path]
MakeParquet = Callable[..., Path]


@pytest.fixture
def make_folder(tmp_path: Path) -> MakeFolder:
    """make_folder({"cat": 20, "dog": 20}, "set/train"): so many different PNG files in each class folder."""
    made = 0

    def make(counts: Mapping[str, int], name: str = "set") -> Path:
        nonlocal made
        for label, count in counts.items():
            folder = tmp_path / name / label
            folder.mkdir(parents=True)
            for index in range(count):
                made += 1
                picture(made).save(folder / f"{index:03}.png")
        return tmp_path / name

    return make


@pytest.fixture
def make_parquet(tmp_path: Path) -> MakeParquet:
    """make_parquet([0, 1, ...], "set/train.parquet", names=["cat", "dog"]): a row with its own image for each label."""

    def make(
        labels: Sequence[int | None],
        name: str = "set/train.parquet",
        *,
        names: Sequence[str] | None = None,
        cells: Mapping[int, bytes | None] | None = None,
        first_seed: int = 0,
    ) -> Path:
        images = [png(picture(first_seed + row)) for row in range(len(labels))]
        rows = [{"bytes": (cells or {}).get(row, image), "path": None} for row, image in enumerate(images)]
        image_type = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
        table = pa.table({"image": pa.array(rows, image_type), "label": pa.array(labels, pa.int64())})
        if names:
            features = {"image": {"_type": "Image"}, "label": {"names": list(names), "_type": "ClassLabel"}}
            table = table.replace_schema_metadata({"huggingface": json.dumps({"info": {"features": features}})})
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(table, file)
        return file.parent

    return make
