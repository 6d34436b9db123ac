from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pictures import picture
from PIL import Image

from tune_kd.data import Loading, load
from tune_kd.errors import InputError

Arrange = Callable[[Path, Any, Any], dict[str, Any]]
CASES: dict[str, tuple[Arrange, tuple[str, ...]]] = {}


def refused(*fragments: str) -> Callable[[Arrange], Arrange]:
    """Register a case: what it arranges must be refused in one line that has all of ``fragments``."""

    def register(arrange: Arrange) -> Arrange:
        CASES[arrange.__name__] = (arrange, fragments)
        return arrange

    return register


@refused("no data folder", "flowres", "did you mean 'flowers'?")
def missing_folder(root: Path, folder: Any, parquet: Any) -> dict[str, Any]:
    folder({"rose": 2}, "flowers")
    return {"source": str(root / "flowres")}


@refused("no data folder 'digit'", "did you mean 'digits'?")
def misspelt_digits(root: Path, folder: Any, parquet: Any) -> dict[str, Any]:
    return {"source": "digit"}


@refused("is a file, not a folder")
def file_for_a_folder(root: Path, folder: Any, parquet: Any) -> dict[str, Any]:
    return {"source": str(parquet([0, 1]) / "train.parquet")}


@refused("is empty")
def empty_folder(root: Path, folder: Any, parquet: Any) -> dict[str, Any]:
    (root / "set").mkdir()
    return {}


@refused("is empty", "test")
def empty_test_folder(root: Path, folder: Any, parquet: Any) -> dict[str, Any]:
    folder({"cat": 10, "dog": 10}, "set/train")
    (root / "set/test").mkdir()
    return {}


@refused("neither class folders", "nor Parquet files", "it holds notes.txt")
def neither_layout(root: Path, folder: Any, parquet: Any) -> dict[str, Any]:
    (root / "set").mkdir()
    (root / "set/notes.txt").write_text("no images here")
    return {}


@refused("no images (.jpg", "class folders")
def class_folders_without_images(root: Path, folder: Any, parquet: Any) -> dict[str, Any]:
    folder({"cat": 0, "dog": 0})
    return {}


@refused("test/ and train/ of", "hold no class folders", "train/CLASS")
def splits_that_hold_images_themselves(root: Path, folder: Any, parquet: Any) -> dict[str, Any]:
    folder({"train": 10, "test": 10})
    return {}


@refused("train/ and val/ in", "look like splits", "give", "set/images,")
def splits_below_one_of_several_folders(root: Path, folder: Any, parquet: Any) -> dict[str, Any]:
    for place in ("images/train", "images/val", "labels/train"):
        folder({"cat": 10, "dog": 10}, f"set/{place}")
    return {}


@refused("test/ and train/ in", "put the images of each class under each split", "train/CLASS")
def splits_below_every_class(root: Path, folder: Any, parquet: Any) -> dict[str, Any]:
    for name in ("cat", "dog"):
        folder({"train": 10, "test": 10}, f"set/{name}")
    return {}


@refused("train/ of", "looks like a split, but car/, van/ beside it like classes", "set/train to train on it alone")
def a_split_beside_classes(root: Path, folder: Any, parquet: Any) -> dict[str, Any]:
    folder({"cat": 10, "dog": 10}, "set/train")
    folder({"car": 10, "van": 10})
    return {}


@refused("train-0.parquet lies in what would be the class 'one'", "set/one instead")
def parquet_files_of_two_configurations(root: Path, folder: Any, parquet: Any) -> dict[str, Any]:
    for name in ("one", "two"):
        parquet([0, 1] * 10, f"set/{name}/train-0.parquet")
    return {}


@refused("class 'dog' has no image that can be read, but 2 × .heic", ".jpg")
def a_class_of_formats_that_are_left_out(root: Path, folder: Any, parquet: Any) -> dict[str, Any]:
    folder({"cat": 20, "dog": 0})
    for name in ("1", "2"):
        (root / f"set/dog/{name}.heic").write_bytes(b"something")
    return {}


@refused("has one class, 'cat'", "at least 2")
def a_single_class(root: Path, folder: Any, parquet: Any) -> dict[str, Any]:
    folder({"cat": 20})
    return {}


@refused("train-1.parquet is not a readable Parquet file")
def a_dangling_link_for_a_shard(root: Path, folder: Any, parquet: Any) -> dict[str, Any]:
    (parquet([0, 1] * 10, "set/train-0.parquet") / "train-1.parquet").symlink_to("gone")
    return {}


@refused("more than one folder", "train-1, train-2")
def two_training_sets(root: Path, folder: Any, parquet: Any) -> dict[str, Any]:
    folder({"cat": 10, "dog": 10}, "set/train-1")
    folder({"cat": 10, "dog": 10}, "set/train-2")
    return {}


@refused("train.parquet needs the columns image: struct<bytes", "its columns: img: string, y: int64")
def other_columns(root: Path, folder: Any, parquet: Any) -> dict[str, Any]:
    (root / "set").mkdir()
    pq.write_table(pa.table({"img": ["a"], "y": [1]}), root / "set/train.parquet")
    return {}


@refused("train.parquet needs the columns", "label: double")
def labels_that_are_no_integers(root: Path, folder: Any, parquet: Any) -> dict[str, Any]:
    file = parquet([0, 1]) / "train.parquet"
    table = pq.read_table(file)
    pq.write_table(table.set_column(1, "label", pa.array([0.0, 1.0])), file)
    return {}


@refused("train.parquet is not a readable Parquet file")
def no_parquet(root: Path, folder: Any, parquet: Any) -> dict[str, Any]:
    (parquet([0, 1]) / "train.parquet").write_bytes(b"PAR1 and nothing more")
    return {}


@refused("train.parquet is not a readable Parquet file", "snappy")
def damaged_pages(root: Path, folder: Any, parquet: Any) -> dict[str, Any]:
    file = parquet([0, 1] * 20) / "train.parquet"
    whole = file.read_bytes()
    begin, end = 100, len(whole) // 2
    file.write_bytes(whole[:begin] + b"\xff" * (end - begin) + whole[end:])
    return {}


@refused("no rows in train.parquet")
def no_rows(root: Path, folder: Any, parquet: Any) -> dict[str, Any]:
    parquet([])
    return {}


@refused("train.parquet row 2 has no label")
def null_label(root: Path, folder: Any, parquet: Any) -> dict[str, Any]:
    parquet([0, 1, None, 1])
    return {}


@refused("train.parquet row 3 has label -1", "0 or more")
def negative_label(root: Path, folder: Any, parquet: Any) -> dict[str, Any]:
    parquet([0, 1, 0, -1])
    return {}


@refused("train.parquet row 1 has label 2", "0..1")
def label_without_a_name(root: Path, folder: Any, parquet: Any) -> dict[str, Any]:
    parquet([0, 2], names=["cat", "dog"])
    return {}


@refused("class 'dog' has too few images", "test set of 15%", "3 there, at least 7 needed")
def small_class(root: Path, folder: Any, parquet: Any) -> dict[str, Any]:
    folder({"cat": 97, "dog": 3})
    return {}


@refused("class 'dog' has too few images", "validation set of 20%", "4 there, at least 5 needed")
def small_class_for_validation(root: Path, folder: Any, parquet: Any) -> dict[str, Any]:
    folder({"cat": 96, "dog": 4}, "set/train")
    folder({"cat": 1, "dog": 1}, "set/test")
    return {}


@refused("class 'dog'", "0 there")
def empty_class(root: Path, folder: Any, parquet: Any) -> dict[str, Any]:
    folder({"cat": 20, "dog": 0})
    return {}


@refused("train_limit must be at least 20", "10 classes", "got 19")
def limit_below_two_a_class(root: Path, folder: Any, parquet: Any) -> dict[str, Any]:
    return {"source": "digits", "train_limit": 19}


@refused("train_limit", "got 0")
def limit_of_zero(root: Path, folder: Any, parquet: Any) -> dict[str, Any]:
    return {"source": "digits", "train_limit": 0}


@refused("train_limit", "got -5")
def negative_limit(root: Path, folder: Any, parquet: Any) -> dict[str, Any]:
    return {"source": "digits", "train_limit": -5}


@refused("validation_fraction must be between 0 and 1", "got 1.0")
def validation_of_everything(root: Path, folder: Any, parquet: Any) -> dict[str, Any]:
    return {"source": "digits", "validation_fraction": 1.0}


@refused("split_seed must be ≥ 0, got -1")
def negative_seed(root: Path, folder: Any, parquet: Any) -> dict[str, Any]:
    return {"source": "digits", "split_seed": -1}


@refused("image_size must be > 0 pixels, got 0")
def no_image_size(root: Path, folder: Any, parquet: Any) -> dict[str, Any]:
    return {"source": "digits", "image_size": 0}


@refused("cannot decode dog/004.png (and 1 more)", "--skip-bad-images")
def bad_images(root: Path, folder: Any, parquet: Any) -> dict[str, Any]:
    folder({"cat": 20, "dog": 20})
    for name in ("004", "005"):
        (root / f"set/dog/{name}.png").write_bytes(b"not an image")
    return {}


@refused("cannot decode train.parquet row 7: no known image format")
def bad_cell(root: Path, folder: Any, parquet: Any) -> dict[str, Any]:
    parquet([0, 1] * 20, cells={7: b"not an image"})
    return {}


@refused("cannot decode dog/004.tiff (and 1 more): its pixels are of PIL's mode I", "8 or 16 bits", "--skip-bad-images")
def pixels_of_an_unknown_range(root: Path, folder: Any, parquet: Any) -> dict[str, Any]:
    folder({"cat": 20, "dog": 20})
    for name, kind in (("004", np.int32), ("005", np.float32)):
        (root / f"set/dog/{name}.png").unlink()
        Image.fromarray(np.full((12, 12), 70_000, kind)).save(root / f"set/dog/{name}.tiff")
    return {}


@refused("none of 40 images can be decoded", "train.parquet row 0")
def only_bad_images(root: Path, folder: Any, parquet: Any) -> dict[str, Any]:
    parquet([0, 1] * 20, cells=dict.fromkeys(range(40), b"not an image"))
    return {"skip_bad_images": True}


@refused("class 'dog' has no decodable image left in the training set")
def a_class_of_bad_images(root: Path, folder: Any, parquet: Any) -> dict[str, Any]:
    parquet([0, 1] * 20, names=["cat", "dog"], cells=dict.fromkeys(range(1, 40, 2), b"not an image"))
    return {"skip_bad_images": True}


@refused("no image of the test set can be decoded")
def a_test_set_of_bad_images(root: Path, folder: Any, parquet: Any) -> dict[str, Any]:
    parquet([0, 1] * 20)
    parquet([0, 1], "set/test.parquet", cells=dict.fromkeys(range(2), b"not an image"))
    return {"skip_bad_images": True}


@refused("the test set has class 'dgo'", "the nearest there is 'dog'")
def unknown_test_class(root: Path, folder: Any, parquet: Any) -> dict[str, Any]:
    folder({"cat": 10, "dog": 10}, "set/train")
    folder({"cat": 2, "dgo": 2}, "set/test")
    return {}


@refused("test.parquet row 1 has label 2", "0..1")
def unknown_test_label(root: Path, folder: Any, parquet: Any) -> dict[str, Any]:
    parquet([0, 1] * 20, names=["cat", "dog"])
    parquet([1, 2], "set/test.parquet")
    return {}


@refused("dog/003.png is 20×12 pixels, not square", "image_size")
def oblong_image(root: Path, folder: Any, parquet: Any) -> dict[str, Any]:
    picture(0, (20, 12)).save(folder({"cat": 20, "dog": 20}) / "dog/003.png")
    return {}


@refused("dog/003.png is 16×16 pixels, cat/000.png is 12×12", "image_size")
def image_of_another_size(root: Path, folder: Any, parquet: Any) -> dict[str, Any]:
    picture(0, (16, 16)).save(folder({"cat": 20, "dog": 20}) / "dog/003.png")
    return {}


@pytest.mark.parametrize("case", CASES)
def test_bad_input_is_refused_in_one_clear_line(case: str, tmp_path: Path, make_folder: Any, make_parquet: Any) -> None:
    arrange, fragments = CASES[case]
    default: dict[str, Any] = {
        "source": str(tmp_path / "set"),
        "image_size": None,
        "validation_fraction": 0.2,
        "split_seed": 0,
    }
    arguments = default | arrange(tmp_path, make_folder, make_parquet)
    with pytest.raises(InputError) as refusal:
        load(Loading(**arguments))
    message = str(refusal.value)
    assert "\n" not in message
    for fragment in fragments:
        assert fragment in message
