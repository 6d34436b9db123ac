"""Small data sets in the layouts of the official archives, and a server on this machine to download them from."""

from __future__ import annotations

import hashlib
import pickle
import tarfile
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import numpy as np
from pictures import picture
from torchvision.datasets import CIFAR10

CLASSES = ("ant", "bee", "cat")
WNIDS = ("n02", "n01")  # in the order of wnids.txt; the labels count them sorted


class _Silent(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """The address at which ``folder`` is served meanwhile."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Silent, directory=str(folder)))
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def md5(file: Path) -> str:
    return hashlib.md5(file.read_bytes()).hexdigest()


def cifar_archive(
    folder: Path,
    address: str,
    train: tuple[np.ndarray, Sequence[int]],
    test: tuple[np.ndarray, Sequence[int]],
    classes: Sequence[str] = CLASSES,
) -> type[CIFAR10]:
    """Pack images, uint8 [N, 3, 32, 32], and labels as CIFAR-10 is packed; torchvision's class for that archive."""
    inside = folder / "cifar-10-batches-py"
    inside.mkdir(parents=True)
    images, labels = train
    entries = {"test_batch": _batch(*test), "batches.meta": {"label_names": list(classes)}}
    for number, rows in enumerate(np.array_split(np.arange(len(labels)), 5), start=1):
        entries[f"data_batch_{number}"] = _batch(images[rows], [labels[row] for row in rows])
    for name, entry in entries.items():
        (inside / name).write_bytes(pickle.dumps(entry))
    archive = folder / "cifar-10-python.tar.gz"
    with tarfile.open(archive, "w:gz") as tar:
        tar.add(inside, arcname=inside.name)

    class SmallCIFAR10(CIFAR10):
        url = f"{address}/{archive.name}"
        tgz_md5 = md5(archive)
        train_list = [[f"data_batch_{number}", md5(inside / f"data_batch_{number}")] for number in range(1, 6)]  # noqa: RUF012
        test_list = [["test_batch", md5(inside / "test_batch")]]  # noqa: RUF012
        meta = {  # noqa: RUF012
            "filename": "batches.meta",
            "key": "label_names",
            "md5": md5(inside / "batches.meta"),
        }

    return SmallCIFAR10


def _batch(images: np.ndarray, labels: Sequence[int]) -> dict[str, object]:
    return {"data": images.reshape(len(images), -1), "labels": list(labels)}


def tiny_imagenet_folder(folder: Path, *, train_per_class: int, test_per_class: int) -> Path:
    """Write a copy of Tiny ImageNet with two classes into ``folder``."""
    root, made = folder / "tiny-imagenet-200", 0
    for wnid in WNIDS:
        images = root / "train" / wnid / "images"
        images.mkdir(parents=True)
        (root / "train" / wnid / f"{wnid}_boxes.txt").write_text("")
        for number in range(train_per_class):
            made += 1
            picture(made, (64, 64), "L" if number == 0 else "RGB").save(images / f"{wnid}_{number}.JPEG")
    images = root / "val" / "images"
    images.mkdir(parents=True)
    lines = []
    for number in range(2 * test_per_class):
        made += 1
        picture(made, (64, 64)).save(images / f"val_{number}.JPEG")
        lines.append(f"val_{number}.JPEG\t{WNIDS[number % 2]}\t0\t0\t63\t63\n")
    (root / "val" / "val_annotations.txt").write_text("".join(lines))
    (root / "wnids.txt").write_text("\n".join(WNIDS) + "\n")
    (root / "words.txt").write_text("n01\tfish\nn02\tbird\n")
    return root


def zipped(folder: Path) -> Path:
    """An archive of ``folder`` beside it."""
    archive = folder.parent / f"{folder.name}.zip"
    with zipfile.ZipFile(archive, "w") as packed:
        for file in sorted(folder.rglob("*")):
            packed.write(file, file.relative_to(folder.parent))
    return archive
