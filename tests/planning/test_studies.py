"""The paper's tables and figures as plans: their parts, the two scales, and one line for whatever cannot be."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tune_kd.api.studies import study
from tune_kd.config.scenario import load_scenario
from tune_kd.data import ImageData
from tune_kd.errors import InputError
from tune_kd.execution.study import joined
from tune_kd.history import resume
from tune_kd.history.records import plan_rows
from tune_kd.planning.paper_catalogue import STUDIES
from tune_kd.planning.paper_protocol import planned_protocol
from tune_kd.planning.paper_scales import SCALES
from tune_kd.planning.paper_studies import in_words, named_after, plan_parts, settled_parts
from tune_kd.planning.plan import Study
from tune_kd.progress.base import Progress
from tune_kd.store import create_store
from tune_kd.store.ids import base_id


def labels(part: Study) -> list[str]:
    return list(dict.fromkeys(plan.label for plan in part.runs))


def ids(part: Study) -> set[str]:
    return {plan.run_id for plan in part.runs}


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("name", STUDIES)
def test_every_study_is_planned_at_both_scales_under_one_id(name: str, scale: str) -> None:
    parts = plan_parts(name, scale=scale)
    assert len({base_id(part.study_id) for part in parts}) == 1
    runs = [plan.run_id for part in parts for plan in part.runs]
    assert len(set(runs)) == len(runs)
    assert {plan.study_id for part in parts for plan in part.runs} == {part.study_id for part in parts}
    assert len({str(part.scenario) for part in parts}) == len(parts), "no part is run twice"
    assert {named_after(part.name) for part in parts} == {(name, scale)}


def test_table_1_at_full_scale_is_the_protocol_of_the_paper() -> None:
    parts = plan_parts("table1")
    pixels = [(part.scenario.data, part.scenario.image_size) for part in parts]
    assert pixels == [("cifar10", 32), ("cifar100", 32), ("tiny-imagenet", 64)]
    for part in parts:
        scenario = part.scenario
        assert (scenario.teacher, scenario.student, scenario.loss) == ("resnet18", "mobilenetv2", "hkd")
        assert scenario.train_limit is None
        assert (scenario.recipe.epochs, scenario.teacher_recipe.epochs, scenario.recipe.batch_size) == (100, 100, 128)
        assert scenario.equivalence_margin == 0.003
        assert labels(part) == ["student", "grid", "stochastic"]
        assert len(part.runs) == 15, "three policies in five replicates"


def test_table_4_has_the_losses_in_which_the_temperature_counts_on_all_four_data_sets() -> None:
    found = [(part.scenario.data, part.scenario.loss) for part in plan_parts("table4")]
    data_sets = ("cifar10", "cifar100", "tiny-imagenet", "voc")
    assert found == [(data, loss) for data in data_sets for loss in ("hkd", "cmc-tau", "dml-tau")]


def test_table_4_is_in_two_halves_for_those_who_have_no_voc_or_nothing_else() -> None:
    whole, images, voc = (STUDIES[name].parts for name in ("table4", "table4-images", "table4-voc"))
    assert (*images, *voc) == whole
    assert STUDIES["table4-voc"].data_sets == ("voc",)
    assert "voc" not in STUDIES["table4-images"].data_sets


@pytest.mark.parametrize(
    ("name", "data"),
    [("table5", "cifar10"), ("table7", "tiny-imagenet"), ("fig1", "cifar100"), ("fig3a", "tiny-imagenet")],
)
def test_a_study_is_on_the_papers_data_at_their_size(name: str, data: str) -> None:
    assert {part.scenario.data for part in plan_parts(name)} == {data}
    assert {part.scenario.image_size for part in plan_parts(name)} == {load_scenario(data).image_size}


def test_table_4_on_voc_is_the_text_with_the_student_alone_beside_the_first_loss() -> None:
    parts = plan_parts("table4-voc")
    assert [part.scenario.loss for part in parts] == ["hkd", "cmc-tau", "dml-tau"]
    assert [labels(part) for part in parts] == [["student", "grid", "stochastic"]] + [["grid", "stochastic"]] * 2
    for part in parts:
        scenario = part.scenario
        assert (scenario.task, scenario.data, scenario.image_size, scenario.train_limit) == (
            "detection",
            "voc",
            300,
            None,
        )
        assert (scenario.teacher, scenario.student) == ("ssd300-vgg16", "ssdlite-mobilenetv2")
        recipe = scenario.recipe
        assert (recipe.optimizer, recipe.lr, recipe.epochs, recipe.batch_size) == ("adam", 0.1, 70, 128)
        assert len({plan.replicate for plan in part.runs}) == 5


def test_a_data_set_has_the_name_that_its_own_task_knows() -> None:
    (first, *_) = plan_parts("table4-voc", scale="small", sources={"voc": "digit-scenes"}, settings={"image_size": 64})
    assert (first.scenario.name, first.scenario.data) == ("digit-scenes",) * 2
    assert not planned_protocol("table4-voc", "small", [first]).papers
    with pytest.raises(InputError, match="there is no data folder 'digits' for voc"):
        plan_parts("table4-voc", sources={"voc": "digits"})


def test_table_7_pairs_every_teacher_with_every_student() -> None:
    networks = ("resnet18", "shufflenetv2")
    pairs = {(part.scenario.teacher, part.scenario.student) for part in plan_parts("table7")}
    assert pairs == {(teacher, student) for teacher in networks for student in networks}


def test_fig_3b_differs_in_the_students_batch_size_alone() -> None:
    parts = plan_parts("fig3b")
    assert [part.scenario.recipe.batch_size for part in parts] == [32, 64, 128, 256, 512]
    first = parts[0].scenario
    for part in parts:
        assert part.scenario.changed({"recipe.batch_size": 32}).recipe == first.recipe
        assert part.scenario.teacher_recipe == first.teacher_recipe, "one teacher for all"


@pytest.mark.parametrize("name", STUDIES)
def test_small_scale_is_a_part_of_the_data_with_small_networks_and_says_so(name: str) -> None:
    small = {"wrn-10-1", "wrn-16-1", "wrn-16-2", "ssd-small", "ssdlite-small"}
    for part in plan_parts(name, scale="small"):
        scenario = part.scenario
        assert (scenario.train_limit, scenario.test_limit) == (1000, 1000)
        assert {scenario.teacher, scenario.student} <= small
        assert scenario.recipe.epochs <= 5
        full = load_scenario(scenario.name).recipe
        reached = [sum(at <= recipe.epochs for at in recipe.milestones) for recipe in (scenario.recipe, full)]
        assert reached[0] == reached[1], "as many drops as at full scale"
        assert len({plan.replicate for plan in part.runs}) == 1
        assert part.name == f"{name}-small"
        images = "1,000 images" if scenario.synthesis is None else f"256 images by {scenario.synthesis.method}"
        epochs = "1 epoch" if scenario.recipe.epochs == 1 else f"{scenario.recipe.epochs} epochs"
        assert f"{images} × {epochs}, batch " in in_words(part)


@pytest.mark.parametrize("name", STUDIES)
def test_small_scale_has_every_part_of_full_scale(name: str) -> None:
    assert len(plan_parts(name, scale="small")) == len(plan_parts(name)) == len(STUDIES[name].parts)


def test_one_data_set_in_place_of_several_is_one_part() -> None:
    sources = dict.fromkeys(STUDIES["table1"].data_sets, "digits")
    [part] = plan_parts("table1", scale="small", sources=sources)
    assert (part.scenario.name, part.scenario.data) == ("digits", "digits")


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("name", STUDIES)
def test_no_two_parts_of_a_study_are_said_alike(name: str, scale: str) -> None:
    said = [in_words(part) for part in plan_parts(name, scale=scale)]
    assert len(set(said)) == len(said)


def test_settings_replicates_seed_and_sources_reach_every_part(tmp_path: Path) -> None:
    parts = plan_parts(
        "table4",
        scale="small",
        sources={"cifar10": tmp_path, "cifar100": "digits"},
        replicates=2,
        seed=7,
        settings={"recipe.epochs": 3, "alpha": 0.5},
    )
    for part in parts:
        assert (part.scenario.recipe.epochs, part.scenario.alpha) == (3, 0.5)
        assert {plan.replicate for plan in part.runs} == {0, 1}
        assert {plan.study_seed for plan in part.runs} == {7}
    data = [(part.scenario.name, part.scenario.data) for part in parts]
    others = [("tiny-imagenet",) * 2] * 3 + [("voc",) * 2] * 3
    assert data == [("cifar10", str(tmp_path))] * 3 + [("digits", "digits")] * 3 + others


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"name": "table2"}, "unknown study 'table2'"),
        ({"name": "table1", "scale": "tiny"}, "unknown scale 'tiny'"),
        ({"name": "table5", "sources": {"cifar100": "digits"}}, "choices: cifar10"),
        ({"name": "table1", "sources": {"cifar10": "/nowhere"}}, "no data folder '/nowhere' for cifar10"),
        ({"name": "table1", "replicates": 0}, "replicates must be ≥ 1, got 0"),
        ({"name": "table1", "settings": {"recipe.epoch": 3}}, "did you mean 'recipe.epochs'"),
        ({"name": "fig3b", "settings": {"recipe.batch_size": 64}}, "recipe.batch_size (32, 64, 128, 256, 512)"),
        ({"name": "table4", "scale": "small", "settings": {"loss": "cmc"}}, "loss (hkd, cmc-tau, dml-tau)"),
        ({"name": "fig1", "settings": {"student": "wrn-16-1"}}, "student (mobilenetv2, shufflenetv2, resnet18)"),
    ],
)
def test_bad_input_is_refused_in_one_line(given: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError) as refused:
        plan_parts(**given)
    assert said in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_study_with_parts_is_resumed_as_a_whole_or_by_one_of_them(digits: ImageData, tmp_path: Path) -> None:
    parts = plan_parts("table4", scale="small")
    store = create_store(tmp_path / "runs")
    for part in parts:
        plan_rows(part, digits, store)
    whole = joined(parts)
    assert settled_parts(whole) == parts
    for name in (None, whole.study_id):
        again = resume.studies_of(resume.unfinished_rows(store, name))
        assert {part.study_id: ids(part) for part in again} == {part.study_id: ids(part) for part in parts}
    (one,) = resume.studies_of(resume.unfinished_rows(store, parts[2].study_id))
    assert (one.study_id, ids(one)) == (parts[2].study_id, ids(parts[2]))


class Listening(Progress):
    """Keeps what is said."""

    def __init__(self) -> None:
        self.notes: list[str] = []

    def note(self, text: str) -> None:
        self.notes.append(text)


def test_what_is_notable_is_said_once_for_all_parts_before_data_are_read(tmp_path: Path) -> None:
    heard = Listening()
    chosen: dict[str, Any] = {
        "scale": "small",
        "sources": {"tiny-imagenet": tmp_path},
        "settings": {"recipe_name": "paper", "loss": "cmc"},
    }
    with pytest.raises(InputError, match="is empty"):
        study("table7", **chosen, progress=heard, cache=tmp_path, store=tmp_path / "runs")
    unused, implausible = heard.notes
    assert "loss cmc does not use τ" in unused
    assert "Adam at learning rate 0.1 is implausible, which is what the paper's text says" in implausible


@pytest.mark.parametrize("name", STUDIES)
def test_a_study_as_it_is_planned_is_its_scales_own_protocol(name: str) -> None:
    assert str(planned_protocol(name, "full", plan_parts(name))) == "full scale"
    small = planned_protocol(name, "small", plan_parts(name, scale="small"))
    assert (small.changed, str(small)) == ((), "small scale, which is not the paper’s protocol")


@pytest.mark.parametrize(
    ("given", "changed"),
    [
        ({"settings": {"recipe.epochs": 1, "train_limit": 500}}, ("recipe.epochs=1", "train_limit=500")),
        ({"replicates": 1}, ("replicates=1",)),
        ({"settings": {"recipe_name": "authors"}}, ("recipe_name=authors",)),
        ({"settings": {"recipe_name": "authors", "recipe.lr": 0.2}}, ("recipe_name=authors", "recipe.lr=0.2")),
        ({"settings": {"loss": "cmc-tau"}}, ("loss=cmc-tau",)),
        ({"settings": {"recipe.milestones": [1, 2]}}, ("recipe.milestones=[1, 2]",)),
        ({"sources": {"cifar10": "digits"}}, ("data=digits",)),
    ],
)
@pytest.mark.parametrize("scale", SCALES)
def test_what_was_changed_of_a_scale_is_said_and_what_follows_from_it_is_not(
    scale: str, given: dict[str, Any], changed: tuple[str, ...]
) -> None:
    found = planned_protocol("table1", scale, plan_parts("table1", scale=scale, **given))
    if (scale, given) == ("small", {"replicates": 1}):
        changed = ()
    assert found.changed == changed
    assert str(found).endswith(f"{', '.join(changed)}, which is not the paper’s protocol")


def test_data_from_a_folder_are_said_and_left_to_judge(tmp_path: Path) -> None:
    found = planned_protocol("table1", "full", plan_parts("table1", sources={"cifar10": tmp_path}))
    assert str(found) == f"full scale, changed: data={tmp_path}"


def test_the_network_that_is_only_timed_keeps_its_one_epoch() -> None:
    parts = plan_parts("fig1", settings={"recipe.epochs": 20})
    assert [part.scenario.recipe.epochs for part in parts] == [20, 20, 1]
    assert planned_protocol("fig1", "full", parts).changed == ("recipe.epochs=20",)
