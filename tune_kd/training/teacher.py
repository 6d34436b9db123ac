"""The teacher: trained once, or taken from a file, and kept in the cache under a hash of everything that makes it."""

from __future__ import annotations

import hashlib
import json
import math
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn

from tune_kd import models
from tune_kd.config.scenario import Scenario, augmentation_of
from tune_kd.config.seeds import teacher_seed
from tune_kd.data.batches import Batch, steps_per_epoch
from tune_kd.data.shared_memory import pack, unpack
from tune_kd.errors import InputError, RunFailed, StoreError
from tune_kd.formats import plural
from tune_kd.meter import flops
from tune_kd.meter.base import Meter
from tune_kd.models import fast
from tune_kd.storage import checkpoints
from tune_kd.storage.cache import Cache
from tune_kd.storage.lease import Lease
from tune_kd.synthesis.batch_norms import check_synthesis
from tune_kd.tasks.base import Data, Outputs, with_rest
from tune_kd.tasks.catalogue import task_of
from tune_kd.training import loop, quantized
from tune_kd.training.teacher_weights import file_sha256, fitted, read_weights, some


@dataclass(frozen=True, kw_only=True)
class Teacher:
    """A trained teacher and what its training cost, which counts in no budget.

    Its scores are fractions. ``test_metrics`` has the test's other figures by their columns of ``trials``; None for a
    teacher that was kept before they were. ``weights`` is a state_dict on the CPU. The costs are None for a teacher
    from a file.
    """

    teacher_id: str
    weights: dict[str, Tensor]
    val_score: float
    test_score: float
    flops: int | None
    energy_j: float | None
    energy_method: str | None
    duration_s: float | None
    test_metrics: dict[str, Any] | None = None
    energy_own_pace_j: float | None = None  # None, too, for a teacher that was kept before it was known

    def __getstate__(self) -> dict[str, Any]:
        """The pickled state: weights as arrays, which all trials of a node read from the same shared memory."""
        return {**vars(self), "weights": {name: pack(tensor) for name, tensor in self.weights.items()}}

    def __setstate__(self, state: dict[str, Any]) -> None:
        weights = {name: unpack(packed) for name, packed in state["weights"].items()}
        vars(self).update({**state, "weights": weights})

    def network(self, scenario: Scenario, data: Data) -> nn.Module:
        """The teacher in evaluation mode, its parameters frozen."""
        model = task_of(scenario).build(scenario.teacher, data)
        model.load_state_dict(self.weights)
        return model.eval().requires_grad_(False)


Training = Generator[int, None, Teacher]
"""The training of a teacher: the number of each epoch when it has ended, 1 is the first; it returns the teacher."""


def teacher_id(scenario: Scenario, data: Data) -> str:
    """A hash of everything that makes the teacher, 16 hexadecimal digits; other changes do not train it again."""
    ingredients = {
        "data": data.split_sha256,
        "model": scenario.teacher,
        "model_origin": models.origin(scenario.teacher),
        **_training_of(scenario),
        **augmentation_of(scenario),
        "precision": scenario.precision,
        "normalisation": scenario.normalisation and tuple(scenario.normalisation.model_dump().values()),
        "torch": torch.__version__,
        "code": metadata.version("tune-kd"),
    }
    return hashlib.sha256(json.dumps(ingredients, sort_keys=True).encode()).hexdigest()[:16]


def _training_of(scenario: Scenario) -> dict[str, Any]:
    """The origin of the weights: a file's content, or a recipe and a seed."""
    if scenario.teacher_checkpoint is not None:
        return {"checkpoint": file_sha256(scenario.teacher_checkpoint)}
    return {"recipe": scenario.teacher_recipe.model_dump(mode="json"), "seed": teacher_seed(scenario.teacher_seed)}


def teacher_name(identity: str) -> str:
    """The name in the cache of the teacher with this id."""
    return f"teachers/{identity}.pt"


def load_teacher(place: Path | checkpoints.Slot) -> Teacher | None:
    """The teacher kept at ``place``; None if there is none, or if its weights are not finite."""
    state = checkpoints.load(place)
    return None if state is None or loop.not_finite(state["weights"]) else Teacher(**state)


def save_teacher(place: Path | checkpoints.Slot, teacher: Teacher) -> None:
    """Keep ``teacher`` at ``place``."""
    checkpoints.save(place, vars(teacher))


def kept_or_trained(
    scenario: Scenario, data: Data, cache: Cache, train: Callable[[], Teacher], stage: Callable[[str], None]
) -> Teacher:
    """The scenario's teacher: the one in ``cache``, else the one that ``train`` makes, which is then kept there.

    Two commands never train the same teacher at once: the second waits and takes what the first has kept. ``stage``
    is called with a line of text before each wait and each training. Raises whatever ``train`` raises.
    """
    identity = teacher_id(scenario, data)
    place = cache.kept.place(teacher_name(identity))
    if kept := load_teacher(place):
        return kept
    with _lock(cache.folder / f".teacher-{identity}.lock", stage):
        teacher = load_teacher(place)  # another command may have kept it meanwhile
        if teacher is None:
            stage(_what_is_done(scenario))
            teacher = train()
            save_teacher(place, teacher)
    return teacher


@contextmanager
def _lock(path: Path, stage: Callable[[str], None]) -> Iterator[None]:
    """Hold the lock at ``path``. Without flock on its file system nothing is held: the teacher may be trained twice."""
    lease = None
    try:
        lease = Lease.try_take(path)
        if lease is None:
            stage("waiting for another command, which is training the teacher")
            lease = Lease.wait(path)
    except StoreError:
        pass
    try:
        yield
    finally:
        if lease is not None:
            lease.release(remove=True)


def check_networks(scenario: Scenario, data: Data) -> None:
    """See that the scenario's networks and its teacher's weights fit the data, before anything is trained.

    Raises InputError.
    """
    task = task_of(scenario)
    for name in (scenario.teacher, scenario.student):
        task.try_out(name, data)
    task.pair(scenario.teacher, scenario.student, data)
    if scenario.quantization is not None and ":" in scenario.student:  # ours are known to work
        images = torch.zeros(2, *task.image_shape(data))
        quantized.prepare(task.build(scenario.student, data), images, reduce_range=False)
    if scenario.synthesis is not None:
        check_synthesis(scenario, task.build(scenario.teacher, data))
    if scenario.teacher_checkpoint is not None:
        _given_weights(scenario, task.build(scenario.teacher, data))


def _what_is_done(scenario: Scenario) -> str:
    if scenario.teacher_checkpoint is not None:
        return f"testing the teacher that was given, {scenario.teacher}"
    return f"training the teacher, {scenario.teacher}, {plural(scenario.teacher_recipe.epochs, 'epoch')}"


def obtain_teacher(scenario: Scenario, data: Data, *, device: torch.device, meter: Meter) -> Teacher:
    """The scenario's teacher: see :func:`obtaining_teacher`."""
    return _result(obtaining_teacher(scenario, data, device=device, meter=meter))


def obtaining_teacher(scenario: Scenario, data: Data, *, device: torch.device, meter: Meter) -> Training:
    """The scenario's teacher: made of its ``teacher_checkpoint`` if it names one, else trained.

    Gives the number of each epoch when it has ended. Raises InputError for a checkpoint of no use, RunFailed for a
    training that diverges.
    """
    if scenario.teacher_checkpoint is None:
        return (yield from training_teacher(scenario, data, device=device, meter=meter))
    model = task_of(scenario).build(scenario.teacher, data)
    model.load_state_dict(_given_weights(scenario, model))
    return Teacher(
        teacher_id=teacher_id(scenario, data),
        weights=_weights(model),
        flops=None,
        energy_j=None,
        energy_method=None,
        duration_s=None,
        **_scores(model.to(device), data, device, scenario),
    )


def _given_weights(scenario: Scenario, model: nn.Module) -> dict[str, Tensor]:
    path = scenario.teacher_checkpoint
    assert path is not None
    weights = fitted(read_weights(path), model, f"teacher checkpoint {path} does not fit {scenario.teacher}")
    if broken := loop.not_finite(weights):
        raise InputError(
            f"teacher checkpoint {path} holds weights that are not finite: {some(broken)}; "
            f"give weights of a training that did not diverge"
        )
    return weights


def train_teacher(scenario: Scenario, data: Data, *, device: torch.device, meter: Meter) -> Teacher:
    """The scenario's teacher, trained: see :func:`training_teacher`."""
    return _result(training_teacher(scenario, data, device=device, meter=meter))


def _result(training: Training) -> Teacher:
    while True:
        try:
            next(training)
        except StopIteration as end:
            return cast(Teacher, end.value)


def training_teacher(scenario: Scenario, data: Data, *, device: torch.device, meter: Meter) -> Training:
    """Train the scenario's teacher on the labels alone, by its own recipe; the weights of the last epoch count.

    Gives the number of each epoch when it has ended. Raises RunFailed in the first epoch whose loss or weights are not
    finite.
    """
    started, recipe, task = time.perf_counter(), scenario.teacher_recipe, task_of(scenario)
    seed = teacher_seed(scenario.teacher_seed)
    torch.manual_seed(seed)
    model = fast.for_training(task.build(scenario.teacher, data), device)
    part = task.on_device(data.train, device)
    steps = steps_per_epoch(len(part), recipe.batch_size)
    optimizer = loop.optimizer(recipe, list(model.parameters()))
    schedule = loop.schedule(recipe, optimizer, steps)

    def loss_of(step: int, batch: Batch) -> Tensor:
        with fast.autocast(device, scenario.precision):
            outputs: Outputs = task.outputs(model, batch.images)
        return with_rest(task.hard_loss(outputs, batch.labels), task.rest_loss(outputs, batch, None))

    for epoch in range(recipe.epochs):
        batches = task.batches(part, data, recipe, seed=seed, epoch=epoch)
        loss = loop.train_epoch(model, batches, optimizer, schedule, loss_of).item()
        if not math.isfinite(loss) or loop.not_finite(model.state_dict()):
            raise RunFailed(_diverged(scenario, epoch + 1))
        yield epoch + 1
    energy = meter.mark()
    counted = flops.count(model, task.image_shape(data))
    scores = _scores(model, data, device, scenario)
    return Teacher(
        teacher_id=teacher_id(scenario, data),
        weights=_weights(model),
        flops=(counted.forward + counted.backward) * loop.trained_images(part, recipe) * recipe.epochs,
        energy_j=energy.total_j,
        energy_method=energy.method,
        energy_own_pace_j=meter.pace.own_j,
        duration_s=time.perf_counter() - started,
        **scores,
    )


def _diverged(scenario: Scenario, epoch: int) -> str:
    recipe = scenario.teacher_recipe
    return (
        f"the teacher {scenario.teacher} diverged in epoch {epoch} of {recipe.epochs}: its loss or weights are not "
        f"finite; its learning rate is {recipe.lr:g}, try a lower one, --set teacher_recipe.lr={recipe.lr / 10:g}"
    )


def _weights(model: nn.Module) -> dict[str, Tensor]:
    return {name: tensor.cpu() for name, tensor in model.state_dict().items()}


def _scores(model: nn.Module, data: Data, device: torch.device, scenario: Scenario) -> dict[str, Any]:
    """``val_score`` and ``test_score``, in the task's metric, and ``test_metrics``.

    Nothing is chosen by them: the test set may be read.
    """
    task = task_of(scenario)
    validated, tested = (
        task.evaluate(model, task.on_device(part, device), data, scenario.precision)
        for part in (data.validation, data.test)
    )
    figures = {**task.test_columns(tested.predictions, data), **task.explained(model, data, device)}
    rest = {name: value for name, value in figures.items() if name not in ("test_score", "metrics")}
    return {"val_score": validated.score, "test_score": tested.score, "test_metrics": rest}
