"""Any image set without code: a folder of pictures, and real CIFAR-10 where it is there."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import tune_kd

pytestmark = pytest.mark.slow

CIFAR10 = Path(__file__).parents[2] / "../shared/data/cifar10"
NETS = {"teacher": "wrn-16-1", "student": "wrn-16-1", "recipe.epochs": 1, "teacher_recipe.epochs": 1}


@pytest.fixture
def pictures(tmp_path):
    """Three classes of 24 pictures in grey and colour, of several sizes, one of them broken."""
    rng = np.random.default_rng(0)
    for label, name in enumerate(["ant", "bee", "cat"]):
        folder = tmp_path / "pictures" / name
        folder.mkdir(parents=True)
        for number in range(24):
            shape = [(20, 30), (32, 32, 3)][number % 2]
            Image.fromarray(rng.integers(80 * label, 80 * label + 80, shape).astype(np.uint8)).save(
                folder / f"{number}.png"
            )
    (tmp_path / "pictures" / "bee" / "7.png").write_bytes(b"no picture")
    (tmp_path / "pictures" / "cat" / "7.heic").write_bytes(b"a format that is left out")
    return tmp_path / "pictures"


def test_a_folder_of_pictures_is_studied_and_what_cannot_be_read_is_counted(ray_running, cache, tmp_path, pictures):
    settings = {**NETS, "skip_bad_images": True, "recipe.batch_size": 16, "validation_fraction": 0.2}
    outcome = tune_kd.run("stochastic", data=pictures, settings=settings, store=tmp_path / "runs", cache=cache)
    run, trial = outcome.store.runs().iloc[0], outcome.store.trials().iloc[0]
    assert run.scenario == "images"
    assert run.skipped_images == 1
    assert json.loads(run.left_out_json) == {".heic": 1}
    assert trial.status == "completed"
    assert np.array(trial.confusion.tolist()).shape == (3, 3)


@pytest.mark.skipif(not CIFAR10.is_dir(), reason="the real CIFAR-10 is not beside the project")
def test_a_part_of_the_real_cifar10_is_studied(ray_running, cache, tmp_path):
    outcome = tune_kd.run(
        "stochastic", data=CIFAR10, train_limit=300, settings=NETS, store=tmp_path / "runs", cache=cache
    )
    trial = outcome.store.trials().iloc[0]
    confusion = np.array(trial.confusion.tolist())
    assert confusion.sum() == 10_000, "the test set is read whole"
    assert (confusion.sum(axis=1) == 1000).all()
    # 2 FLOPs a MAC forward; backward twice that, less the first layer, which needs no input gradient.
    macs, first_layer = 26_657_408, 32 * 32 * 16 * 27
    trained = 300 - round(300 * 0.1)
    assert trial.flops_forward == 2 * macs * trained
    assert trial.flops_backward == 2 * (2 * macs - first_layer) * trained
    assert trial.flops_teacher == 2 * macs * trained
    assert trial.flops_paper == 2 * 2 * macs * trained
