import io
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from loading import load
from pictures import picture, png
from PIL import Image

from tune_kd.data import ImageData, ImageSet

SHARED = Path(__file__).parents[2] / "../shared/data"
needs_shared_data = pytest.mark.skipif(not SHARED.is_dir(), reason="the image sets beside the project are not here")


def pixels_of(part: ImageSet) -> list[bytes]:
    return [image.tobytes() for image in part.images]


def parts_of(data: ImageData) -> tuple[ImageSet, ImageSet, ImageSet]:
    return data.train, data.validation, data.test


def everything(data: ImageData) -> list[tuple[bytes, int]]:
    return sorted(
        (image, int(label))
        for part in parts_of(data)
        for image, label in zip(pixels_of(part), part.labels, strict=True)
    )


# What a source holds


def test_the_digits_are_whole_and_grey() -> None:
    data = load("digits", validation_fraction=0.15)
    assert (data.name, data.channels, data.image_size, data.skipped_images) == ("digits", 1, 8, 0)
    assert data.classes == tuple("0123456789")
    assert [len(part) for part in parts_of(data)] == [1298, 229, 270]
    assert {int(part.images.max()) for part in parts_of(data)} == {255}
    pixels = data.train.images / 255
    assert data.mean == pytest.approx(pixels.mean(axis=(0, 2, 3)))
    assert data.std == pytest.approx(pixels.std(axis=(0, 2, 3)))


def test_the_digits_can_be_scaled() -> None:
    assert load("digits", image_size=32).train.images.shape[1:] == (1, 32, 32)


def test_an_image_folder_gives_its_pixels_and_labels(make_folder: Any) -> None:
    root = make_folder({"cat": 10, "dog": 10}, "set/train")
    make_folder({"cat": 3, "dog": 2}, "set/test")
    data = load(str(root.parent))
    assert (data.name, data.classes, data.channels, data.image_size) == ("set", ("cat", "dog"), 3, 12)
    assert [len(part) for part in parts_of(data)] == [16, 4, 5]
    assert data.test.labels.tolist() == [0, 0, 0, 1, 1]
    with Image.open(root.parent / "test/dog/001.png") as image:
        assert np.array_equal(data.test.images[4], np.asarray(image).transpose(2, 0, 1))


def test_class_folders_without_a_test_set_give_15_percent_of_each_class(make_folder: Any) -> None:
    data = load(str(make_folder({"cat": 40, "dog": 20})))
    assert np.bincount(data.test.labels).tolist() == [6, 3]


def test_a_class_may_be_called_train_or_valley(make_folder: Any) -> None:
    assert load(str(make_folder({"train": 10, "valley": 10, "car": 10}))).classes == ("car", "train", "valley")


def test_parquet_files_give_their_pixels_labels_and_class_names(make_parquet: Any) -> None:
    make_parquet([0, 1] * 10, "set/train-00000-of-00002.parquet", names=["cat", "dog"])
    make_parquet([1, 0] * 10, "set/train-00001-of-00002.parquet", names=["cat", "dog"], first_seed=100)
    root = make_parquet([1, 0, 1], "set/test.parquet", names=["cat", "dog"], first_seed=200)
    data = load(str(root))
    assert data.classes == ("cat", "dog")
    assert [len(part) for part in parts_of(data)] == [32, 8, 3]
    assert data.test.labels.tolist() == [1, 0, 1]
    assert np.array_equal(data.test.images[2], np.asarray(picture(202)).transpose(2, 0, 1))


def test_parquet_files_without_metadata_name_the_classes_by_their_labels(make_parquet: Any) -> None:
    assert load(str(make_parquet([0, 1, 2] * 10, "set/anything.parquet"))).classes == ("0", "1", "2")


def test_a_folder_named_like_a_column_says_nothing_of_the_images_below_it(make_parquet: Any) -> None:
    make_parquet([0, 1] * 10, "label=1/a*b/train.parquet")
    make_parquet([1] * 20, "label=1/aXb/train.parquet")
    assert load(str(make_parquet([1, 0, 1], "label=1/a*b/test.parquet"))).test.labels.tolist() == [1, 0, 1]


def test_both_layouts_of_the_same_images_are_the_same_data(make_folder: Any, make_parquet: Any) -> None:
    folder = make_folder({"cat": 20, "dog": 20})
    encoded = [path.read_bytes() for path in sorted(folder.rglob("*.png"))]
    root = make_parquet([0] * 20 + [1] * 20, "other/all.parquet", names=["cat", "dog"], cells=dict(enumerate(encoded)))
    assert load(str(root)).split_sha256 == load(str(folder)).split_sha256


def test_labels_of_the_test_set_are_matched_by_class_name(make_parquet: Any) -> None:
    make_parquet([0, 1] * 10, "set/train.parquet", names=["cat", "dog"])
    root = make_parquet([0, 0, 1], "set/test.parquet", names=["dog", "cat"], first_seed=100)
    assert load(str(root)).test.labels.tolist() == [1, 1, 0]


@pytest.mark.parametrize(("names", "test_set"), [(("test", "valid"), 4), (("valid",), 6), (("val",), 6)])
def test_the_test_set_is_test_else_valid(make_folder: Any, names: tuple[str, ...], test_set: int) -> None:
    root = make_folder({"cat": 10, "dog": 10}, "set/train").parent
    for name in names:
        make_folder({"cat": 2, "dog": 2} if name == "test" else {"cat": 3, "dog": 3}, f"set/{name}")
    data = load(str(root))
    assert (len(data.train) + len(data.validation), len(data.test)) == (20, test_set)


def test_grey_files_become_rgb(make_folder: Any) -> None:
    root = make_folder({"cat": 10, "dog": 10})
    for path in root.rglob("*.png"):
        picture(int(path.stem), mode="L").save(path)
    images = load(str(root)).train.images
    assert images.shape[1] == 3
    assert np.array_equal(images[:, 0], images[:, 2])


def ramp(depth: str) -> Image.Image:
    """All 65,536 values of 16 bits, or the same by the 256 of 8 bits."""
    values = np.arange(2**16, dtype=np.uint16).reshape(256, 256)
    return Image.fromarray(values if depth == "16" else (values // 256).astype(np.uint8))


@pytest.mark.parametrize("kind", ["png", "tiff", "pgm"])
@pytest.mark.parametrize("packed", [True, False])
def test_16_bit_greys_become_their_upper_8_bits(kind: str, packed: bool, make_folder: Any, make_parquet: Any) -> None:
    file = io.BytesIO()
    ramp("16").save(file, {"pgm": "PPM"}.get(kind, kind))
    if packed:
        root = make_parquet([0, 1] * 10, cells=dict.fromkeys(range(20), file.getvalue()))
    else:
        root = make_folder({"cat": 10, "dog": 10})
        for path in [*root.rglob("*.png")]:
            path.with_suffix(f".{kind}").write_bytes(file.getvalue())
            if kind != "png":
                path.unlink()
    images = load(str(root)).train.images
    assert (images == np.asarray(ramp("8"))).all()


def test_image_size_scales_the_short_side_and_cuts_the_centre(make_folder: Any) -> None:
    root = make_folder({"cat": 10, "dog": 10})
    for path in root.rglob("*.png"):
        stripes = np.zeros((20, 60, 3), np.uint8)  # only the middle square is white
        stripes[:, 20:40] = 255
        Image.fromarray(stripes).save(path)
    data = load(str(root), image_size=10)
    assert data.image_size == 10
    assert (data.train.images[..., 1:-1] == 255).all()  # the outermost columns blend with what was cut off


# The split


@pytest.mark.parametrize("limit", [None, 30])
def test_the_split_is_stratified_and_disjoint(make_folder: Any, limit: int | None) -> None:
    data = load(str(make_folder({"cat": 40, "dog": 20})), train_limit=limit)
    for part, share in zip(parts_of(data), ([27, 14], [7, 3], [6, 3]) if limit is None else (), strict=limit is None):
        assert np.bincount(part.labels).tolist() == share
    if limit:
        assert np.bincount(np.concatenate([data.train.labels, data.validation.labels])).tolist() == [20, 10]
    pixels = [image for part in parts_of(data) for image in pixels_of(part)]
    assert len(set(pixels)) == len(pixels)


def test_without_a_limit_no_image_is_lost(make_folder: Any) -> None:
    root = make_folder({"cat": 23, "dog": 31})
    data = load(str(root))
    expected = []
    for path in root.rglob("*.png"):
        with Image.open(path) as image:
            expected.append((np.asarray(image).transpose(2, 0, 1).tobytes(), int(path.parent.name == "dog")))
    assert everything(data) == sorted(expected)


def test_the_same_seed_gives_the_same_split_and_another_seed_another() -> None:
    first, again, other = (load("digits", split_seed=seed).split_sha256 for seed in (3, 3, 4))
    assert first == again != other


def test_the_split_does_not_depend_on_where_the_folder_lies(make_folder: Any, tmp_path: Path) -> None:
    root = make_folder({"cat": 20, "dog": 20})
    before = load(str(root)).split_sha256
    root.rename(tmp_path / "moved")
    assert load(str(tmp_path / "moved")).split_sha256 == before


def test_the_test_set_depends_on_neither_validation_nor_limit() -> None:
    default = load("digits").test
    for change in ({"validation_fraction": 0.3}, {"train_limit": 100}):
        assert np.array_equal(load("digits", **change).test.images, default.images)


def test_a_limit_just_below_the_whole_is_kept(make_folder: Any) -> None:
    root = make_folder({"cat": 10, "dog": 10}, "set/train").parent
    make_folder({"cat": 2, "dog": 2}, "set/test")
    data = load(str(root), train_limit=19)
    assert len(data.train) + len(data.validation) == 19


def test_the_hash_tells_pixels_and_labels_apart() -> None:
    data = load("digits", train_limit=100)
    images, labels = data.train.images.copy(), data.train.labels.copy()
    images[0, 0, 0, 0] ^= 1
    labels[0] = (labels[0] + 1) % 10
    changed = [ImageSet(images=images, labels=data.train.labels), ImageSet(images=data.train.images, labels=labels)]
    hashes = {
        ImageData(
            name="digits", classes=data.classes, train=train, validation=data.validation, test=data.test
        ).split_sha256
        for train in (data.train, *changed)
    }
    assert len(hashes) == 3


# The cache


def test_a_cached_set_is_the_same_set(make_folder: Any, tmp_path: Path) -> None:
    root, cache = make_folder({"cat": 10, "dog": 10}), tmp_path / "cache"
    first = load(str(root), cache=cache)
    (file,) = cache.iterdir()
    written = file.stat().st_mtime_ns
    again, other = load(str(root), cache=cache), load(str(root), cache=cache, split_seed=1)
    assert first.split_sha256 == again.split_sha256 == load(str(root)).split_sha256 != other.split_sha256
    assert [path.stat().st_mtime_ns for path in cache.iterdir()] == [written]  # one file for all, written once


@pytest.mark.parametrize(
    "damage", [lambda raw: raw[: len(raw) // 2], lambda raw: b"", lambda raw: raw[:-900] + b"x" * 900]
)
def test_a_damaged_cache_is_made_again(make_folder: Any, tmp_path: Path, damage: Callable[[bytes], bytes]) -> None:
    root, cache = make_folder({"cat": 10, "dog": 10}), tmp_path / "cache"
    expected = load(str(root), cache=cache).split_sha256
    (file,) = cache.iterdir()
    whole = file.read_bytes()
    file.write_bytes(damage(whole))
    assert load(str(root), cache=cache).split_sha256 == expected
    assert len(file.read_bytes()) == len(whole)


def test_a_changed_image_is_read_again(make_folder: Any, tmp_path: Path) -> None:
    root, cache = make_folder({"cat": 10, "dog": 10}), tmp_path / "cache"
    before = load(str(root), cache=cache).split_sha256
    changed = root / "cat/000.png"
    picture(99).save(changed)
    os.utime(changed, ns=(1, 1))
    assert load(str(root), cache=cache).split_sha256 != before


def test_two_sets_with_equal_names_sizes_and_dates_are_two_sets(tmp_path: Path) -> None:
    for number, name in enumerate(("first", "second")):
        for index in range(20):
            file = tmp_path / name / ("cat", "dog")[index % 2] / f"{index:02}.bmp"
            file.parent.mkdir(parents=True, exist_ok=True)
            picture(100 * number + index).save(file)
            os.utime(file, (315532800, 315532800))
    cached = [load(str(tmp_path / name), cache=tmp_path / "cache") for name in ("first", "second")]
    fresh = [load(str(tmp_path / name)) for name in ("first", "second")]
    assert [everything(data) for data in cached] == [everything(data) for data in fresh]
    assert cached[0].split_sha256 != cached[1].split_sha256


def test_equal_contents_are_decoded_once_whatever_they_are_called(make_folder: Any, tmp_path: Path) -> None:
    root, cache = make_folder({"cat": 10, "dog": 10}), tmp_path / "cache"
    before = load(str(root), cache=cache).split_sha256
    (root / "dog").rename(root / "wolf")
    root.rename(tmp_path / "moved")
    assert load(str(tmp_path / "moved"), cache=cache).split_sha256 == before
    assert len(list(cache.iterdir())) == 1


def test_every_image_size_has_its_own_cache(make_folder: Any, tmp_path: Path) -> None:
    root, cache = make_folder({"cat": 10, "dog": 10}), tmp_path / "cache"
    assert [load(str(root), image_size=size, cache=cache).image_size for size in (6, 9, None)] == [6, 9, 12]


def test_a_refused_set_leaves_nothing_in_the_cache(make_folder: Any, tmp_path: Path) -> None:
    root, cache = make_folder({"cat": 10, "dog": 10}), tmp_path / "cache"
    (root / "dog/004.png").write_bytes(b"not an image")
    with pytest.raises(ValueError, match=r"004\.png"):
        load(str(root), cache=cache)
    assert not cache.exists()


# Images that cannot be decoded


def test_bad_images_are_left_out_and_counted_on_request(make_folder: Any, tmp_path: Path) -> None:
    root = make_folder({"cat": 20, "dog": 20})
    whole = load(str(root))
    (root / "dog/004.png").write_bytes(b"not an image")
    (root / "cat/007.png").write_bytes(png(picture(1))[:60])
    for _ in range(2):  # decoded, then from the cache
        data = load(str(root), skip_bad_images=True, cache=tmp_path / "cache")
        assert data.skipped_images == 2
        assert len(everything(data)) == 38
        assert set(everything(data)) < set(everything(whole))
        assert set(pixels_of(data.test)) <= set(pixels_of(whole.test))  # the others stay in their parts


def test_a_cell_without_bytes_is_a_bad_image(make_parquet: Any) -> None:
    root = make_parquet([0, 1] * 20, cells={5: None})
    assert load(str(root), skip_bad_images=True).skipped_images == 1


# Real data


@needs_shared_data
def test_cifar10() -> None:
    data = load(str(SHARED / "cifar10"), train_limit=500, validation_fraction=0.1)
    assert [len(part) for part in parts_of(data)] == [450, 50, 10_000]
    assert data.classes[:3] == ("airplane", "automobile", "bird")
    assert (data.channels, data.image_size) == (3, 32)
    for part in parts_of(data):
        assert set(np.bincount(part.labels)) == {len(part) // 10}
    assert data.mean == pytest.approx((0.4913, 0.4821, 0.4465), abs=0.02)


@needs_shared_data
def test_tiny_imagenet_has_its_validation_as_the_test_set_and_grey_images_in_rgb() -> None:
    data = load(str(SHARED / "tiny-imagenet-20"), train_limit=200)
    assert [len(part) for part in parts_of(data)] == [160, 40, 1000]
    assert (len(data.classes), data.channels, data.image_size) == (20, 3, 64)
    grey = (data.test.images[:, 0] == data.test.images[:, 2]).all(axis=(1, 2))
    assert grey.sum() == 6
