"""A teacher that is asked once for all trials: the same results, charged once."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from run_events import report, started

from tune_kd.budget.amount import parse_budget
from tune_kd.budget.cost import Cost, recorded_cost
from tune_kd.budget.ledger import Ledger
from tune_kd.config.scenario import Scenario
from tune_kd.data import ImageData
from tune_kd.data.batches import DeviceImages
from tune_kd.errors import RunFailed
from tune_kd.execution.teacher_pass import asks, charged
from tune_kd.models import fast
from tune_kd.planning.plan import plan_study
from tune_kd.planning.teacher_sharing import epochs_to_share, pays
from tune_kd.training import teacher_outputs
from tune_kd.training.costs import NetworkFlops
from tune_kd.training.teacher import Teacher
from tune_kd.training.teacher_outputs import TeacherOutputs, outputs_id, teach
from tune_kd.training.trial import Trial

MakeTrial = Callable[..., Trial]
EPOCHS, SEED = 3, 1
AUGMENTED = {"recipe.flip": True, "recipe.crop_padding": 1, "recipe.rotation_degrees": 10.0}
COST = Cost(flops=10, duration_s=1.0, energy_j=2.0, co2e_g=3.0)

# What says that the teacher was asked by somebody else, or how long something took.
DIFFERENT = {"at", "duration_s", "train_s", "eval_s", "teacher_s", "other_s", "peak_memory_bytes"}
DIFFERENT |= {"flops_teacher", "flops_executed"}


def outcomes(trial: Trial) -> list[dict[str, Any]]:
    fields = (dataclasses.asdict(report) for report in trial.fit())
    return [{name: value for name, value in report.items() if name not in DIFFERENT} for report in fields]


@pytest.fixture
def outputs(tmp_path: Path) -> TeacherOutputs:
    return TeacherOutputs(place=tmp_path.joinpath)


@pytest.fixture
def compute(outputs: TeacherOutputs, scenario: Scenario, digits: ImageData, teacher: Teacher) -> Callable[..., None]:
    """compute([0, 1], settings): what the pass before the trials does for these epochs."""

    def write(epochs: list[int], settings: dict[str, Any]) -> None:
        what, device = scenario.changed(settings), torch.device("cpu")
        network = fast.for_inference(teacher.network(what, digits), device)
        for epoch in epochs:
            logits = teach(network, DeviceImages(digits.train, device), digits, what, seed=SEED, epoch=epoch)
            outputs.write(epoch, logits)
            outputs.write_cost(epoch, COST)

    return write


# The trial's side


@pytest.mark.parametrize("policy", ["grid", "stochastic", "annealing"])
@pytest.mark.parametrize("settings", [AUGMENTED, {"precision": "bfloat16"}], ids=["float32", "bfloat16"])
def test_a_trial_that_shares_has_the_results_of_one_that_asks_bit_for_bit(
    policy: str, settings: dict[str, Any], make_trial: MakeTrial, compute: Callable[..., None], outputs: TeacherOutputs
) -> None:
    compute(list(range(EPOCHS)), settings)
    asking = make_trial(policy, settings=settings, replicate_seed=SEED)
    sharing = make_trial(policy, settings=settings, replicate_seed=SEED)
    sharing.shared_outputs = outputs
    assert outcomes(sharing) == outcomes(asking)
    for name, weights in asking.student.network.state_dict().items():
        assert torch.equal(weights, sharing.student.network.state_dict()[name])
    last = sharing.last
    assert last is not None
    assert (last.flops_teacher, last.teacher_s) == (0, 0)


def test_an_epoch_that_is_missing_is_asked_for_and_charged(
    make_trial: MakeTrial, compute: Callable[..., None], outputs: TeacherOutputs
) -> None:
    compute([0, 2], {})
    asking, sharing = make_trial(replicate_seed=SEED), make_trial(replicate_seed=SEED)
    sharing.shared_outputs = outputs
    assert outcomes(sharing) == outcomes(asking)
    assert sharing.last is not None
    assert asking.last is not None
    assert sharing.last.flops_teacher * EPOCHS == asking.last.flops_teacher > 0


def test_large_outputs_are_memory_mapped_and_read_the_same(
    make_trial: MakeTrial, compute: Callable[..., None], outputs: TeacherOutputs, monkeypatch: pytest.MonkeyPatch
) -> None:
    compute(list(range(EPOCHS)), {})
    whole = outputs.read(0)
    monkeypatch.setattr(teacher_outputs, "MAPPED_FROM_BYTES", 0)
    mapped = outputs.read(0)
    assert whole is not None
    assert mapped is not None
    assert torch.equal(whole, mapped)


def test_a_policy_that_holds_images_out_asks_for_itself(make_trial: MakeTrial, outputs: TeacherOutputs) -> None:
    trial = make_trial("meta-kd")
    shared = Trial(trial.spec, trial.data, trial.teacher, trial.place, None, outputs)
    assert shared.shared_outputs is None


# What is kept


def test_logits_count_once_their_cost_is_written(outputs: TeacherOutputs) -> None:
    logits = torch.randn(5, 3)
    outputs.write(0, logits)
    assert outputs.cost(0) is None
    assert outputs.read(0) is None  # the task was killed in between: nobody knows what it cost
    outputs.write_cost(0, COST)
    assert outputs.cost(0) == COST
    assert torch.equal(outputs.read(0), logits)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("changed", "same"),
    [
        ({"recipe.lr": 0.5}, True),
        ({"recipe.epochs": 9}, True),
        ({"student": "wrn-16-1"}, True),
        ({"recipe.batch_size": 32}, False),
        ({"recipe.flip": True}, False),
        ({"precision": "bfloat16"}, False),
    ],
    ids=str,
)
def test_outputs_are_known_by_what_they_depend_on(changed: dict[str, Any], same: bool, scenario: Scenario) -> None:
    first = outputs_id("teacher", scenario, SEED, cpus=1, gpus=0)
    assert (outputs_id("teacher", scenario.changed(changed), SEED, cpus=1, gpus=0) == first) is same
    others = [
        outputs_id("another", scenario, SEED, cpus=1, gpus=0),
        outputs_id("teacher", scenario, SEED + 1, cpus=1, gpus=0),
        outputs_id("teacher", scenario, SEED, cpus=2, gpus=0),
        outputs_id("teacher", scenario, SEED, cpus=1, gpus=1),
    ]
    assert len({first, *others}) == 5


def test_costs_add_up_and_unmeasured_ones_stay_unmeasured() -> None:
    assert Cost() + COST + COST == Cost(flops=20, duration_s=2.0, energy_j=4.0, co2e_g=6.0)
    assert (COST + Cost(energy_j=None, co2e_g=None)).energy_j is None
    assert recorded_cost(COST.columns("shared"), "shared") == COST
    assert recorded_cost(COST.columns("pool"), "shared") is None
    assert recorded_cost({"shared_flops": None}, "shared") is None


# The ledger's side


@pytest.mark.parametrize(
    ("budget", "charged"), [("100flops", 10), ("100J", 2), ("100g", 3), ("100s", 1), ("9trials", 0), ("9epochs", 0)]
)
def test_what_is_shared_is_charged_once_in_the_budgets_currency(budget: str, charged: float) -> None:
    ledger = Ledger(budget=parse_budget(budget))
    ledger.share(COST)
    ledger.share(COST)  # the same total again, as after every part
    assert ledger.spent == charged
    for event in (started("a", 0), report("a", 0, 1, 5.0)):
        ledger(event)
    assert ledger.spent == (1 if charged == 0 else charged + 5)


@pytest.mark.parametrize(
    ("found", "recorded", "pays_for"),
    [(2, None, 2), (2, 2, 2), (3, 2, 3), (0, 2, 2)],
    ids=["at first", "as it was", "its driver died before it wrote that down", "what was computed is gone"],
)
def test_a_run_that_goes_on_pays_for_every_epoch_once(found: int, recorded: int | None, pays_for: int) -> None:
    def of(epochs: int) -> Cost:
        return sum([COST] * epochs, Cost())

    assert charged(of(found), None if recorded is None else of(recorded)) == of(pays_for)


def test_energy_that_nobody_measured_cannot_be_charged() -> None:
    ledger = Ledger(budget=parse_budget("100J"))
    with pytest.raises(RunFailed, match="nothing measured what the teacher's shared outputs spent"):
        ledger.share(Cost(flops=10, energy_j=None, co2e_g=None))


def test_a_pass_may_take_half_of_the_budget() -> None:
    ledger = Ledger(budget=parse_budget("20flops"))
    ledger.share(COST)
    assert ledger.half_left()
    assert not ledger.half_left(0.1)
    ledger.share(Cost(flops=11))
    assert not ledger.half_left()
    ledger = Ledger(budget=parse_budget("1trials"))
    ledger(started("a", 0))
    assert ledger.half_left(100)  # a pass spends no trials


# Which runs share


@pytest.mark.parametrize(
    ("policy", "options", "several"),
    [
        ("grid", {}, True),
        ("random", {"budget": "5trials"}, True),
        ("random", {"budget": "1trials"}, False),
        ("stochastic", {}, False),
        ("stochastic", {"track": "budget"}, True),
        ("stochastic", {"track": "budget", "budget": "18epochs"}, False),
        ("stochastic", {"track": "budget", "budget": "19epochs"}, True),
        ("random", {"budget": "50Wh"}, True),
    ],
)
def test_runs_share_where_there_may_be_several_trials(policy: str, options: dict[str, str], several: bool) -> None:
    (plan,) = plan_study(policies=[policy], **options).runs  # type: ignore[arg-type]
    assert pays(plan) is several


@pytest.mark.parametrize(
    ("policy", "loss", "shared"),
    [
        ("grid", "hkd", 18),
        ("stochastic", "dml", 18),
        ("meta-kd", "hkd", 0),
        ("student", "hkd", 0),
        ("grid", "ce", 0),
        ("normkd", "ce", 18),
    ],
)
def test_only_epochs_in_which_the_teacher_is_asked_are_shared(policy: str, loss: str, shared: int) -> None:
    (plan,) = plan_study(policies=[policy], settings={"loss": loss}).runs
    assert epochs_to_share(plan, steps=6) == list(range(shared))


@pytest.mark.parametrize(
    ("policy", "loss", "asked"),
    [
        ("grid", "hkd", True),
        ("meta-kd", "hkd", True),
        ("annealing-kd", "ce", True),
        ("normkd", "ce", True),
        ("student", "hkd", False),
        ("random", "ce", False),
        ("annealing-kd:temperature_only", "ce", False),
    ],
)
def test_a_teacher_is_needed_where_policy_or_loss_asks_it(policy: str, loss: str, asked: bool) -> None:
    (plan,) = plan_study(policies=[policy], settings={"loss": loss}).runs
    assert asks(plan, steps=6) is asked


def test_a_trial_that_asks_nobody_trains_without_a_teacher_and_as_with_one(
    make_trial: MakeTrial, counted: NetworkFlops
) -> None:
    with_one, asking = make_trial("student"), make_trial("grid").spec
    without = Trial(with_one.spec, with_one.data, None, with_one.place, counted)
    assert outcomes(without) == outcomes(with_one)
    with pytest.raises(ValueError, match="none was trained"):
        next(Trial(asking, with_one.data, None, with_one.place, counted).fit())
