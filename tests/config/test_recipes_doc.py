"""What ``docs/recipes.md`` says of recipes, losses and networks is what the code does: its tables are read."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import pytest
import torch
from torch import Tensor

from policies.base import hinton
from tune_kd.config.recipes import RECIPES, settled_by
from tune_kd.config.scenario import ALPHA, Scenario, load_scenario
from tune_kd.config.training import Recipe
from tune_kd.losses import DISTILLATIONS
from tune_kd.meter import flops
from tune_kd.models import MODELS, build

TEXT = (Path(__file__).parents[2] / "docs" / "recipes.md").read_text(encoding="utf-8")
Row = dict[str, str]


def tables() -> list[list[Row]]:
    """The document's tables, each a list of rows by heading; without the marks of code and remarks in brackets."""
    found = []
    for block in re.findall(r"(?:^\|.*\n)+", TEXT, flags=re.MULTILINE):
        plain = re.sub(r" \((?:not stated)\)|`", "", block)
        lines = [[cell.strip() for cell in line.strip("|").split("|")] for line in plain.splitlines()]
        found.append([dict(zip(lines[0], cells, strict=True)) for cells in lines[2:]])
    return found


RECIPE_ROWS, LOSS_ROWS, NETWORK_ROWS = tables()
COLUMNS = dict(zip(RECIPES, list(RECIPE_ROWS[0])[1:], strict=True))


def said(row: str, recipe: str) -> str:
    """The cell of a recipe in the row whose heading begins so."""
    (cells,) = [cells for cells in RECIPE_ROWS if cells[""].startswith(row)]
    return cells[COLUMNS[recipe]]


def under(recipe: str, data: str = "cifar10") -> Scenario:
    """A scenario that says nothing itself, under the recipe."""
    return Scenario(name="", data=data, teacher="", student="").changed({"recipe_name": recipe})


def augmentation(recipe: Recipe) -> tuple[bool, float, float]:
    return recipe.flip, recipe.crop_padding, recipe.rotation_degrees


# Each row of the table as the code has it, in the words of the table.
ROWS: dict[str, Callable[[Scenario], Any]] = {
    "optimizer": lambda scenario: {"sgd": "SGD", "adam": "Adam"}[scenario.recipe.optimizer],
    "learning rate": lambda scenario: scenario.recipe.lr,
    "momentum": lambda scenario: scenario.recipe.momentum or "–",
    "weight decay": lambda scenario: scenario.recipe.weight_decay,
    "drops": lambda scenario: ", ".join(map(str, scenario.recipe.milestones)),
    "warm-up": lambda scenario: ("none", "one epoch, linear, step by step")[scenario.recipe.warmup_epochs],
    "epochs": lambda scenario: scenario.recipe.epochs,
    "batch size": lambda scenario: scenario.recipe.batch_size,
    "KL term": lambda scenario: scenario.reduction,
    "chosen weights": lambda scenario: {"last": "last epoch", "best": "best epoch on validation"}[scenario.checkpoint],
    "α of HKD": lambda scenario: scenario.distillation_weight,
}


@pytest.mark.parametrize("recipe", RECIPES)
@pytest.mark.parametrize("row", ROWS)
def test_a_recipe_is_as_the_table_has_it(row: str, recipe: str) -> None:
    value, cell = ROWS[row](under(recipe)), said(row, recipe)
    assert cell.partition(":")[0] == value if isinstance(value, str) else float(cell) == value
    assert under(recipe).teacher_recipe == under(recipe).recipe


def test_the_table_has_every_row_and_every_recipe() -> None:
    assert [name.split(":")[0] for name in COLUMNS.values()] == list(RECIPES)
    headings = [cells[""] for cells in RECIPE_ROWS]
    assert len(headings) == len(ROWS) + len(["augmentation", "normalisation", "source"])


@pytest.mark.parametrize("recipe", RECIPES)
def test_learning_rates_drop_by_what_the_heading_says(recipe: str) -> None:
    (heading,) = [cells[""] for cells in RECIPE_ROWS if cells[""].startswith("drops")]
    assert heading == f"drops, × {under(recipe).recipe.gamma:g}, at epoch"


def test_what_is_averaged_over_is_what_the_reduction_means() -> None:
    assert {said("KL term", recipe) for recipe in RECIPES} == {
        "batchmean",
        "batchmean: summed over classes",
        "classmean: averaged over classes",
    }


def test_augmentation_is_as_the_table_has_it() -> None:
    (heading,) = [cells[""] for cells in RECIPE_ROWS if cells[""].startswith("flip")]
    flip, padding, degrees = augmentation(under("paper").recipe)
    assert flip
    assert heading == f"flip, crop after {padding} px of padding, rotation by {degrees:g}°"
    assert (said("flip", "default"), augmentation(under("default").recipe)) == ("the scenario's own", (False, 0, 0))
    assert said("flip", "paper") == "all"
    assert augmentation(under("authors").recipe) == (flip, padding, degrees)
    flip, padding, degrees = augmentation(under("authors", "tiny-imagenet").recipe)
    assert (flip, padding) == (True, 0)
    assert said("flip", "authors") == f"all; Tiny ImageNet: flip and rotation by {degrees:g}°, no crop"


def test_the_presets_of_the_paper_have_the_augmentation_of_its_text() -> None:
    assert augmentation(load_scenario("cifar10").recipe) == augmentation(under("paper").recipe)


@pytest.mark.parametrize("recipe", RECIPES)
def test_normalisation_is_as_the_table_has_it(recipe: str) -> None:
    data = ("cifar10", "cifar100", "tiny-imagenet", "photos")
    ten, hundred, tiny, other = (settled_by(recipe, name).get("normalisation") for name in data)
    if said("normalisation", recipe) == "measured on the training part":
        assert ten is hundred is tiny is other is None
    else:
        assert said("normalisation", recipe) == "CIFAR-100's constants for both CIFARs, Tiny ImageNet's own"
        assert other is None
        assert ten == hundred != tiny
        assert None not in (ten, tiny)


def test_the_mean_over_classes_is_the_alpha_that_is_said() -> None:
    alpha = ALPHA["hkd"]
    (paragraph,) = re.findall(r"\*\*The mean over classes is another α\.\*\*(.*?)\n- ", TEXT, flags=re.DOTALL)
    assert f"α = {alpha:g} " in paragraph
    pairs = re.findall(r"([\d.]+) \(n = (\d+)\)", paragraph)
    assert [int(n) for _, n in pairs] == [10, 100, 200]
    for given, n in pairs:
        assert given == f"{alpha / int(n) / (alpha / int(n) + 1 - alpha):.3f}"


# The terms of the losses, each as the table writes it.


def kl(student: Tensor, teacher: Tensor, tau: float) -> Tensor:
    target, log_target = (teacher / tau).softmax(1), (teacher / tau).log_softmax(1)
    return (target * (log_target - (student / tau).log_softmax(1))).sum(1).mean()


TERMS: dict[str, Callable[[Tensor, Tensor, float], Tensor]] = {
    "τ²·KL(q_t ‖ q_s)": lambda s, t, tau: tau**2 * kl(s, t, tau),
    "mean of (z_s − z_t)²": lambda s, t, _: (s - t).square().mean(),
    "mean of ((z_s − z_t)/τ)²": lambda s, t, tau: ((s - t) / tau).square().mean(),
    "KL(p_t ‖ p_s) at τ = 1": lambda s, t, _: kl(s, t, 1.0),
    "KL(q_t ‖ q_s), no τ²": kl,
}
# The size of the gradient at 2τ over that at τ, from which τ on, and how closely.
GRADIENTS = {
    "flat": (1, 100, 0.02),
    "none": (1, 1, 1e-12),
    "∝ 1/τ² exactly: tuning τ tunes the weight of the loss": (1 / 4, 1, 1e-12),
    "∝ 1/τ² for large τ": (1 / 4, 100, 0.02),
}
LOGITS = [[2.0, 0.5, -1.0], [0.0, 1.0, 3.0]], [[4.0, 1.0, -2.0], [-1.0, 2.5, 1.5]]


def test_every_loss_has_its_row_and_its_alpha() -> None:
    names = get_args(Scenario.model_fields["loss"].annotation)
    assert tuple(row["name"] for row in LOSS_ROWS) == names
    assert {row["name"]: float(row["α unless set"]) for row in LOSS_ROWS} == ALPHA


@pytest.mark.parametrize("row", LOSS_ROWS, ids=lambda row: str(row["name"]))
def test_a_loss_is_the_term_of_the_table_and_goes_with_temperature_as_it_says(row: Row) -> None:
    if row["name"] not in DISTILLATIONS:
        assert (row["term"], row["gradient of the term in τ"]) == ("none", "none")
        return

    def term(student: Tensor, tau: float) -> Tensor:
        softening = hinton(torch.tensor(tau, dtype=torch.float64))
        return DISTILLATIONS[row["name"]](student, teacher, softening, "batchmean")

    student, teacher = (torch.tensor(z, dtype=torch.float64) for z in LOGITS)
    for tau in (1.0, 4.0, 20.0):
        torch.testing.assert_close(term(student, tau), TERMS[row["term"]](student, teacher, tau), rtol=1e-10, atol=0)
    ratio, since, tolerance = GRADIENTS[row["gradient of the term in τ"]]
    student.requires_grad_()
    low, high = (torch.autograd.grad(term(student, tau), student)[0].norm() for tau in (float(since), 2.0 * since))
    torch.testing.assert_close(high, ratio * low, rtol=tolerance, atol=0)


# Networks


def test_every_network_has_its_row() -> None:
    assert [row["name"] for row in NETWORK_ROWS] == list(MODELS)


@pytest.mark.parametrize("row", NETWORK_ROWS, ids=lambda row: str(row["name"]))
def test_a_network_has_the_size_and_cost_of_the_table(row: Row) -> None:
    channels, size = (1, 8) if row["name"].startswith("digits") else (3, 32)
    network = build(row["name"], classes=10, channels=channels, image_size=size)
    assert row["parameters"] == f"{sum(parameter.numel() for parameter in network.parameters()):,}"
    forward = flops.count(network, (channels, size, size)).forward
    assert row["MFLOPs of an image's forward pass"] == f"{forward / 1e6:,.2f}"
