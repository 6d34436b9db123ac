"""``--compile``: the same training but for rounding, compiled once, and refused in one line where that cannot be."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch._dynamo.utils import counters
from torch._inductor import config as inductor

from tune_kd import checks
from tune_kd.cli import command_line
from tune_kd.config.scenario import from_record, load_scenario, scenario_sha256, to_record
from tune_kd.errors import InputError
from tune_kd.models import compiler, fast
from tune_kd.planning.notices import notices
from tune_kd.planning.plan import plan_study
from tune_kd.training.trial import Trial

MakeTrial = Callable[..., Trial]
CPU = torch.device("cpu")
COMPILED = {"compile": True}


def missing() -> str:
    """Why nothing can be compiled here; empty where it can."""
    try:
        compiler.compiler()
    except InputError as error:
        return str(error)
    return ""


compiles = pytest.mark.skipif(bool(missing()), reason=missing() or "nothing is missing")


@pytest.fixture
def graphs() -> Iterator[Callable[[], int]]:
    """graphs(): how many were compiled since the test began."""
    torch.compiler.reset()
    counters.clear()
    yield lambda: counters["stats"]["unique_graphs"]
    torch.compiler.reset()


@compiles
def test_a_compiled_trial_learns_and_costs_the_same_and_compiles_each_network_once(
    make_trial: MakeTrial, graphs: Callable[[], int], tmp_path: Path
) -> None:
    plain, quick = (list(make_trial(settings=settings).fit()) for settings in ({}, COMPILED))
    assert graphs() == 2, "student and teacher, in batches of 128, 128 and 84 images"
    for one, other in zip(plain, quick, strict=True):
        assert other.train_loss == pytest.approx(one.train_loss, abs=1e-4)
        assert other.val_loss == pytest.approx(one.val_loss, abs=1e-4)
        assert other.flops_executed == one.flops_executed
        assert other.flops_paper == one.flops_paper

    # The next trial of a worker finds its student compiled; its teacher is traced again.
    checkpoint = tmp_path / "trial.pt"
    stopped = make_trial(settings=COMPILED, checkpoint=checkpoint).fit()
    assert next(stopped).train_loss == quick[0].train_loss
    assert graphs() == 3
    resumed = list(make_trial(settings=COMPILED, checkpoint=checkpoint).fit())
    assert [report.train_loss for report in resumed] == [report.train_loss for report in quick[1:]]
    # A checkpoint is one of the plain network.
    assert [*torch.load(checkpoint)["network"]] == [*make_trial().student.network.state_dict()]


def small_mobile(width: int = 4) -> nn.Module:
    """What MobileNetV2 is made of: a strided depthwise convolution, batch norm, ReLU6 and dropout."""
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, width, 3, padding=1, bias=False),
        nn.BatchNorm2d(width),
        nn.ReLU6(inplace=True),
        nn.Conv2d(width, width, 3, stride=2, padding=1, groups=width, bias=False),
        nn.Flatten(),
        nn.Dropout(),
        nn.Linear(width * 16, 5),
    )


@compiles
def test_a_compiled_network_drops_the_same_and_keeps_its_wide_convolutions(graphs: Callable[[], int]) -> None:
    images = torch.randn(6, 3, 8, 8, generator=torch.Generator().manual_seed(1))

    def passes(quick: bool) -> list[Tensor]:
        model = fast.for_training(small_mobile(), CPU)
        network = fast.through(model, compiled=quick)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            logits = network(images)
        logits.float().square().sum().backward()
        return [logits, *(parameter.grad for parameter in model.parameters() if parameter.grad is not None)]

    expected = passes(quick=False)
    for _ in range(2):
        for one, other in zip(expected, passes(quick=True), strict=True):
            torch.testing.assert_close(one, other, rtol=0.05, atol=0.02 * one.abs().max().item())  # bfloat16's rounding
    assert graphs() == 1


@compiles
def test_a_policy_that_looks_ahead_trains_its_student_uncompiled_and_is_said_to(make_trial: MakeTrial) -> None:
    trial = make_trial("meta-kd", settings=COMPILED)
    assert trial.student.forward is trial.student.network
    assert isinstance(trial.teacher, fast.Compiled)
    study = plan_study(policies=["grid", "meta-kd"], replicates=2, settings=COMPILED)
    assert [text.split()[1] for text in notices([study])] == ["meta-kd"]


def test_a_scenario_that_compiles_is_another_and_one_that_does_not_is_as_it_was_recorded_before() -> None:
    plain = load_scenario("digits")
    quick = plain.changed(COMPILED)
    assert from_record(to_record(quick)).compile
    assert scenario_sha256(quick) != scenario_sha256(plain)
    before = to_record(plain)
    assert "compile" not in json.loads(before)
    assert from_record(before) == plain.settled()
    assert not plain.compile


@pytest.fixture
def no_compiler() -> Iterator[None]:
    with inductor.patch({"cpp.cxx": ("no-such-compiler",)}):
        yield


@pytest.mark.usefixtures("no_compiler")
def test_without_a_compiler_it_is_refused_in_one_line_before_anything_starts(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code = command_line(["run", "--compile", "--store", str(tmp_path / "runs"), "--cache", str(tmp_path / "cache")])
    [line] = capsys.readouterr().err.strip().splitlines()
    assert code == 2
    assert "--compile needs a C++ compiler, and torch finds none; install one" in line
    assert not (tmp_path / "runs").exists()


@pytest.mark.usefixtures("no_compiler")
def test_doctor_says_that_nothing_can_be_compiled() -> None:
    found = checks.compiles()
    assert found.mark == checks.ABSENT
    assert "C++ compiler" in found.found
