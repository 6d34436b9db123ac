"""The student alone: labels only, one training, no teacher asked or charged."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from policy_sequences import TAU, suggestions, training_step

from tune_kd.config.catalogue import make_policy
from tune_kd.training.trial import Trial

MakeTrial = Callable[..., Trial]


def test_one_training_whose_record_says_that_nothing_is_distilled() -> None:
    student = make_policy("student")
    assert student.native_trials(TAU) == 1
    assert suggestions(student.searcher(TAU, 0), 1) == [{"alpha": 0.0}]


def test_the_loss_is_the_cross_entropy_of_the_labels() -> None:
    temperature = make_policy("student").temperature({}, seed=0)
    assert not temperature.needs_teacher
    logits = torch.tensor([[2.0, 0.5, -1.0], [0.0, 1.0, 3.0]], dtype=torch.float64)
    found = temperature.loss(training_step(0, logits, None, labels=torch.tensor([0, 2])))
    assert found.tau is None
    assert found.loss.item() == pytest.approx(0.20557865810672135, rel=1e-13)  # the reference vectors'


def test_no_teacher_is_asked_or_charged_and_no_temperature_reported(make_trial: MakeTrial) -> None:
    alone, taught = (list(make_trial(label).fit()) for label in ("student", "fixed"))
    for report, other in zip(alone, taught, strict=True):
        assert (report.flops_teacher, report.teacher_s) == (0, 0)
        assert report.flops_paper == report.flops_forward == other.flops_forward
        assert report.flops_executed == other.flops_executed - other.flops_teacher
        assert (report.tau_mean, report.tau_min, report.tau_max) == (None, None, None)


@pytest.mark.parametrize("settings", [{"loss": "cmc"}, {"alpha": 1.0}, {"loss": "dml-tau", "alpha": 0.3}])
def test_the_scenarios_loss_does_not_matter(settings: dict[str, object], make_trial: MakeTrial) -> None:
    plain, other = ([report.train_loss for report in make_trial("student", settings=s).fit()] for s in ({}, settings))
    assert plain == other


def test_it_learns_what_plain_cross_entropy_teaches(make_trial: MakeTrial) -> None:
    alone = list(make_trial("student").fit())
    assert [r.val_score for r in alone] == [r.val_score for r in make_trial(settings={"loss": "ce"}).fit()]
    assert alone[-1].train_loss < alone[0].train_loss
