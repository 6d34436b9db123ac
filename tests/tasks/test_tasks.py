"""What every task promises, and what a trial leaves to its task."""

from __future__ import annotations

import inspect
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F
from training_steps import step_of

from policies.base import Softening
from tune_kd.config.scenario import from_record, load_scenario, to_record
from tune_kd.data.batches import Batch
from tune_kd.errors import InputError
from tune_kd.losses import DISTILLATIONS
from tune_kd.planning.plan import plan_study
from tune_kd.tasks.base import Outputs, Task, with_rest
from tune_kd.tasks.catalogue import TASKS, task_of
from tune_kd.tasks.classification import Classification

every_task = pytest.mark.parametrize("task", TASKS.values(), ids=TASKS)


def test_a_task_is_kept_under_its_name() -> None:
    assert {name: task.name for name, task in TASKS.items()} == {name: name for name in TASKS}


def test_an_unknown_task_is_refused_with_the_nearest_when_a_study_is_planned() -> None:
    with pytest.raises(InputError, match="unknown task 'clasification'; did you mean 'classification'"):
        plan_study(policies=["fixed"], set={"task": "clasification"})


@every_task
def test_a_task_has_every_method_of_the_contract_with_its_parameters(task: Task) -> None:
    promised = {name: method for name, method in vars(Task).items() if inspect.isfunction(method) and name[0] != "_"}
    for name, method in promised.items():
        own = inspect.signature(getattr(type(task), name)).parameters
        assert list(own) == list(inspect.signature(method).parameters)


@every_task
def test_a_task_says_its_name_and_its_metric(task: Task) -> None:
    assert task.name
    assert task.metric


def test_a_scenario_without_a_task_is_of_classification_and_its_record_stays_as_it_was() -> None:
    scenario = load_scenario("digits")
    assert task_of(scenario).name == "classification"
    assert "task" not in to_record(scenario)
    assert from_record(to_record(scenario)).task == "classification"


@pytest.mark.parametrize("loss", DISTILLATIONS)
@pytest.mark.parametrize("shape", [(5, 3), (5, 4, 3)], ids=["[B, n]", "[B, A, n]"])
def test_a_tasks_mean_is_taken_over_one_value_of_each_softmax(loss: str, shape: tuple[int, ...]) -> None:
    """The sum of what a loss is of each softmax alone, where the task sums."""
    student, teacher = torch.randn(2, *shape, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    softening = Softening(*(torch.tensor(value, dtype=torch.float64) for value in (2.0, 3.0, 6.0)))
    term, seen = DISTILLATIONS[loss], []

    def total(each: Tensor) -> Tensor:
        seen.append(each.shape)
        return each.sum()

    alone: list[Any] = [
        term(student[at][None], teacher[at][None], softening, "batchmean")
        for at in map(tuple, torch.cartesian_prod(*map(torch.arange, shape[:-1])).reshape(-1, len(shape) - 1).tolist())
    ]
    summed = term(student, teacher, softening, "batchmean", total)
    assert summed.item() == pytest.approx(sum(value.item() for value in alone), rel=1e-12)
    assert seen == [shape[:-1]]


def test_the_plain_mean_is_the_mean_of_the_values_of_each_softmax() -> None:
    student, teacher = torch.randn(2, 7, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    softening = Softening(*(torch.tensor(value, dtype=torch.float64) for value in (2.0, 2.0, 4.0)))
    for term in DISTILLATIONS.values():
        plain = term(student, teacher, softening, "batchmean", Classification().mean(Outputs(student), torch.empty(0)))
        assert plain.item() == pytest.approx(
            term(student, teacher, softening, "batchmean", lambda each: each.mean()).item()
        )


def test_the_hard_loss_of_classification_is_the_mean_cross_entropy() -> None:
    logits, labels = torch.tensor([[0.0, 0.0], [0.0, 1000.0]]), torch.tensor([0, 1])
    assert Classification().hard_loss(Outputs(logits), labels).item() == pytest.approx(0.34657359)  # (ln 2 + 0) / 2


def test_classification_has_no_options_and_no_loss_beside_that_of_its_logits() -> None:
    task, outputs = Classification(), Outputs(torch.zeros(2, 3))
    batch = Batch(torch.zeros(2, 1, 8, 8), torch.zeros(2, dtype=torch.int64), torch.arange(2))
    assert task.of(load_scenario("digits")) is task
    loss = task.hard_loss(outputs, batch.labels)
    assert with_rest(loss, task.rest_loss(outputs, batch, None)) is loss


def test_the_squared_distance_of_logits_in_classification_is_the_plain_mean() -> None:
    one, other = torch.randn(2, 5, 3, generator=torch.Generator().manual_seed(0))
    step = step_of(one, other, torch.zeros(5, dtype=torch.int64))
    assert torch.equal(step.squared_distance(one, other), F.mse_loss(one, other))
