"""Every loss trains a student for real, and a study says beforehand what would surprise its user."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest

from tune_kd.config.scenario import ALPHA
from tune_kd.errors import InputError
from tune_kd.planning.notices import notices
from tune_kd.planning.plan import plan_study
from tune_kd.training.trial import Trial

MakeTrial = Callable[..., Trial]


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize("loss", ALPHA)
def test_a_student_learns_by_every_loss(loss: str, precision: str, make_trial: MakeTrial) -> None:
    # τ = 1: at a higher one the altered forms have a gradient of 1/τ², and take as many more steps.
    settings = {"loss": loss, "precision": precision, "recipe.epochs": 12, "recipe.batch_size": 32}
    trial = make_trial(params={"tau": 1.0}, settings=settings)
    assert trial.spec.alpha == ALPHA[loss]
    first, *_, last = trial.fit()
    assert math.isfinite(last.train_loss)
    assert last.train_loss < first.train_loss
    assert last.val_score > 0.2  # of ten digits


@pytest.mark.parametrize("loss", ALPHA)
def test_the_temperature_matters_to_the_losses_that_have_one(loss: str, make_trial: MakeTrial) -> None:
    cold, hot = (next(make_trial(params={"tau": tau}, settings={"loss": loss}).fit()).train_loss for tau in (2.0, 20.0))
    assert (cold == hot) == (loss in {"cmc", "dml", "ce"})


@pytest.mark.parametrize("policy", ["fixed", "stochastic", "annealing", "ctkd", "meta-kd", "stochastic-per-sample"])
def test_plain_cross_entropy_asks_no_teacher(policy: str, make_trial: MakeTrial) -> None:
    trial = make_trial(policy, settings={"loss": "ce"})
    for report in trial.fit():
        assert (report.flops_teacher, report.teacher_s) == (0, 0)
        assert report.flops_paper == report.flops_forward
        assert report.tau_mean is not None


@pytest.mark.parametrize("policy", ["normkd:temperature_only", "dtkd", "annealing-kd"])
def test_a_temperature_that_looks_at_the_teacher_asks_it_under_any_loss(policy: str, make_trial: MakeTrial) -> None:
    first = next(make_trial(policy, settings={"loss": "ce"}).fit())
    assert first.flops_teacher == next(make_trial(policy).fit()).flops_teacher > 0


def said(policies: list[str], **settings: Any) -> list[str]:
    return notices([plan_study(policies=policies, settings=settings)])


@pytest.mark.parametrize(("loss", "words"), [("cmc", "cmc-tau"), ("dml", "dml-tau"), ("ce", "policy student")])
def test_a_loss_without_temperature_is_allowed_and_said(loss: str, words: str) -> None:
    [text] = said(["student", "grid"], loss=loss)
    assert f"loss {loss} does not use τ" in text
    assert words in text
    assert said(["student"], loss=loss) == []


@pytest.mark.parametrize("loss", ["hkd", "cmc-tau", "dml-tau"])
def test_a_loss_with_a_temperature_needs_no_notice(loss: str) -> None:
    assert said(["grid", "stochastic"], loss=loss) == []


def test_adam_at_the_papers_rate_is_called_implausible() -> None:
    [text] = said(["grid"], recipe_name="paper")
    assert "Adam at learning rate 0.1 is implausible" in text
    assert "--recipe authors" in text
    assert said(["grid"], **{"recipe_name": "paper", "recipe.epochs": 5}) == [text]
    [own] = said(["grid"], **{"recipe_name": "paper", "recipe.lr": 0.05})
    assert "authors" not in own
    assert "authors" not in said(["grid"], **{"recipe.optimizer": "adam", "recipe.lr": 0.1})[0]
    assert said(["grid"], **{"recipe_name": "paper", "recipe.lr": 0.001}) == []
    assert said(["grid"], recipe_name="authors") == []


def test_alpha_cannot_be_searched_where_the_loss_has_none() -> None:
    with pytest.raises(InputError, match="space 'tau-alpha' searches α, which loss 'ce' does not have"):
        plan_study(policies=["grid"], space="tau-alpha", settings={"loss": "ce"})
