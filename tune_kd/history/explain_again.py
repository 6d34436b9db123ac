"""Teacher and students asked about images that no test has kept: more of the test set, or a user's own files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from tune_kd.config.scenario import Scenario, from_record
from tune_kd.data import ImageData
from tune_kd.data.decode import decode
from tune_kd.data.listing import EncodedImage
from tune_kd.errors import InputError
from tune_kd.history.records import run_row
from tune_kd.storage import checkpoints
from tune_kd.storage.cache import Cache, cache_at
from tune_kd.storage.checkpoints import checkpoint_name
from tune_kd.store import Store
from tune_kd.tasks.catalogue import task_of
from tune_kd.tasks.class_examples import columns, example_images, look_at
from tune_kd.training.handed_out import handed_out
from tune_kd.training.teacher import load_teacher, teacher_name

CPU = torch.device("cpu")


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What was asked about, and what each network said.

    ``pictures`` are uint8 [k, C, H, W], ``labels`` the classes that the maps are of. ``teacher`` and each of
    ``students``, by its trial, have the columns of ``trials`` for it; ``teacher`` is None where the run has none.
    """

    names: Sequence[str]
    labels: Sequence[int]
    pictures: NDArray[np.uint8]
    teacher: Mapping[str, Any] | None
    students: Mapping[str, Mapping[str, Any]]


def explain_again(
    run_id: str,
    trials: Mapping[str, str],
    *,
    images: int | Sequence[Path],
    store: Store,
    layer: str | None = None,
    cache: str | Path | None = None,
    data_root: Path | None = None,
) -> Asked:
    """Ask the teacher of a run and the students of ``trials``, by trial the run, about ``images``.

    All runs are of the run's scenario. ``images`` are so many of the test set, chosen as a test chooses them, whose
    maps are of the true classes; or files, whose maps are of the class that the teacher names, without one the first
    student. ``layer`` is the students' whose maps are drawn, by default the last that has one, as of the teacher.
    Raises InputError where data, teacher or a checkpoint is gone, a file is no image, or there is no such layer.
    """
    row = run_row(store, run_id).columns
    home, scenario = cache_at(cache), from_record(row["scenario_json"])
    data = _data(run_id, row["split_sha256"], scenario, home, data_root)
    networks = {trial: _student(run, trial, scenario, data, home) for trial, run in trials.items()}
    teacher = _teacher(row["teacher_id"], scenario, data, home)
    first = next(iter(networks.values())) if teacher is None else teacher
    if isinstance(images, int):
        chosen = example_images(data.test.labels, images)
        names, pictures = [f"test image {index}" for index in chosen], data.test.images[chosen]
        labels = data.test.labels[chosen]
    else:
        who = "the teacher" if teacher is not None else "the first student"
        names, pictures = [f"{file.name}, by {who}" for file in images], _decoded(images, data)
        labels = _answers(first, data, pictures, who)

    def said(network: nn.Module, layer: str | None = layer) -> dict[str, Any]:
        return columns(look_at(network, data, pictures, labels, CPU, layer))

    return Asked(
        names=names,
        labels=labels.tolist(),
        pictures=pictures,
        teacher=None if teacher is None else said(teacher, None),
        students={trial: said(network) for trial, network in networks.items()},
    )


def pictures_of_test(
    run_id: str, images: Sequence[int], *, store: Store, cache: str | Path | None = None, data_root: Path | None = None
) -> NDArray[np.uint8]:
    """Images of a run's test set by their index, uint8 [k, C, H, W]. Raises InputError where the data are gone."""
    row = run_row(store, run_id).columns
    data = _data(run_id, row["split_sha256"], from_record(row["scenario_json"]), cache_at(cache), data_root)
    return data.test.images[list(images)]


def _data(run_id: str, split_sha256: str, scenario: Scenario, home: Cache, data_root: Path | None) -> ImageData:
    data: ImageData = task_of(scenario).load(scenario, home.folder, data_root)
    if data.split_sha256 != split_sha256:
        raise InputError(f"the data of run {run_id} have changed: its test set is another one now")
    return data


def _student(run_id: str, trial_id: str, scenario: Scenario, data: ImageData, home: Cache) -> nn.Module:
    state = checkpoints.load(home.kept.place(checkpoint_name(run_id, trial_id)))
    if state is None:
        raise InputError(
            f"the checkpoint of {trial_id} is not in the cache {home.where}; give the run's own with --cache"
        )
    return handed_out(state, scenario, data).float32


def _teacher(identity: str | None, scenario: Scenario, data: ImageData, home: Cache) -> nn.Module | None:
    if identity is None:
        return None
    teacher = load_teacher(home.kept.place(teacher_name(identity)))
    if teacher is None:
        raise InputError(f"the teacher {identity} is not in the cache {home.where}; give the run's own with --cache")
    return teacher.network(scenario, data)


def _decoded(files: Sequence[Path], data: ImageData) -> NDArray[np.uint8]:
    """The files as the networks get images; grey where those are grey."""
    encoded = [EncodedImage(str(file), file) for file in files]
    decoded = decode(encoded, image_size=data.image_size, skip_bad_images=True)
    if not decoded.kept.all():
        raise InputError(f"{encoded[int(decoded.kept.argmin())].name} cannot be decoded; give image files")
    images = decoded.images
    return images if data.channels == 3 else images.mean(axis=1, keepdims=True).round().astype(np.uint8)


def _answers(network: nn.Module, data: ImageData, images: NDArray[np.uint8], who: str) -> NDArray[np.int64]:
    """The classes that the network names. Raises InputError where it names none: the largest of NaNs is the first."""
    nothing = np.zeros(len(images), dtype=np.int64)
    logits = look_at(network, data, images, nothing, CPU).logits
    if not logits.isfinite().all():
        raise InputError(f"{who} names no class: its outputs are not finite; give a number of test images instead")
    return logits.argmax(dim=1).numpy()
