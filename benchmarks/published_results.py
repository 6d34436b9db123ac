"""Makes ``docs/results.md`` and its figures from the store that is published with the project.

    python benchmarks/published_results.py [STORE [DOCS]]

A test sees to it that the document is what this makes of the store. Nothing is run again, and nothing is typed in.
"""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from analysis.figures.files import save_figures
from analysis.pages.markdown import document
from analysis.runs.accounting import columns
from analysis.runs.reading import Records, read
from tune_kd.config.scenario import Scenario, from_record, load_scenario
from tune_kd.store import open_store

DOCS = Path(__file__).parents[1] / "docs"
STORE = DOCS / "results-store"
SHOWN = ("curves", "pareto", "tau")  # of all figures, those that the document shows
# What names, describes or sums up the other fields of a scenario.
NOT_SET = ("name", "description", "recipe_name")
# By the file that a study was given as its teacher, the command that trained it.
TAUGHT = {
    "/study/wrn-16-2.pt": "tune-kd run --policy student --train-teacher --scenario cifar10 --teacher wrn-16-2"
    " --student wrn-16-1 --teacher-epochs 15 --epochs 1 --set image_size=16 --set teacher_recipe.rotation_degrees=0"
    " --set teacher_recipe.crop_padding=2 --set teacher_recipe.nesterov=true --set teacher_recipe.warmup_epochs=1"
    " --set recipe.rotation_degrees=0 --set recipe.crop_padding=2 --cache cache"
    "   # its teacher, cache/teachers/4723e557fe2c7625.pt, is /study/wrn-16-2.pt below",
}
HEAD = """<!-- Made by `python benchmarks/published_results.py`; a test sees to it that it is current. -->

Every number here comes from the records in [results-store](results-store) (`tune-kd report docs/results-store` shows
more of them). [How a difference becomes a verdict](decisions/statistics.md) says what the words mean. All studies ran
on 2 virtual CPUs of one machine. Energy is a power model's that counts memory by the hour. The digits ran nearly
without other work, CIFAR-10 in part beside other programs; the energy at the trials' own pace leaves these out.

The images of CIFAR-10, which were JPEG files, were scaled to 16×16 pixels. The teacher was trained before, on all
45,000 training images. The students learn from 10,000 of the images and are validated on 2,500 more, and some of these
the teacher has seen."""


def command(runs: pd.DataFrame) -> str:
    """The ``tune-kd compare`` that makes the runs of one comparison again, after what made the teacher it is given."""
    first = runs.iloc[0]
    words = ["tune-kd", "compare", "--policies", ",".join(runs["policy"].unique()), "--scenario", first["scenario"]]
    words += ["--budget", first["budget_text"], "--track", first["track"]]
    words += [*replicates(runs), "--seed", str(int(first["study_seed"]))]
    for key, value in changes(from_record(first["scenario_json"])).items():
        words += ["--set", f"{key}={as_toml(value)}"]
    before = TAUGHT.get(str(from_record(first["scenario_json"]).teacher_checkpoint), "")
    return f"{before}\n{shlex.join(words)}".lstrip()


def replicates(runs: pd.DataFrame) -> list[str]:
    """The options that say how many there are: planned with the first, or until it was decided."""
    looks = columns(runs, ("looks_json",))["looks_json"].dropna()
    if looks.empty:
        return ["--replicates", str(int(runs["replicate"].max()) + 1)]
    return ["--until-decided", "--max-replicates", str(json.loads(looks.iloc[0])["replicates"][-1])]


def changes(scenario: Scenario) -> dict[str, Any]:
    """The settings that turn the preset of the scenario's name into it."""
    preset, settings = load_scenario(scenario.name), dict[str, Any]()
    wanted = dotted(scenario.model_dump(mode="json") | {"alpha": scenario.distillation_weight})
    # Epochs first: they move the milestones, which then need no setting.
    for key in sorted(wanted, key=lambda key: not key.endswith(".epochs")):
        now = preset.changed(settings)
        fields = dotted(now.model_dump(mode="json") | {"alpha": now.distillation_weight})
        if key not in NOT_SET and wanted[key] is not None and wanted[key] != fields.get(key):
            settings[key] = wanted[key]
    return settings


def dotted(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Fields by their names as ``--set`` takes them: ``recipe.lr``."""
    flat: dict[str, Any] = {}
    for name, value in fields.items():
        flat |= {f"{name}.{inner}": part for inner, part in value.items()} if isinstance(value, dict) else {name: value}
    return flat


def as_toml(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def commands(records: Records) -> dict[int, str]:
    """By comparison, how to run it again."""
    found = {}
    for number, mine in records.outcomes.groupby("comparison"):
        together = " --side-by-side auto" if mine["side_by_side"].max() > 1 else ""
        found[int(str(number))] = command(records.runs[records.runs["run_id"].isin(mine["run_id"])]) + together
    return found


def text(store: Path, docs: Path) -> str:
    """The document on ``store``; the figures that ``docs`` has are shown in it."""
    records = read(open_store(store), epochs=True)
    paths = [path.relative_to(docs).as_posix() for path in sorted((docs / "results").glob("*.svg"))]
    return document(records, commands=commands(records), figures=paths, head=HEAD)


def main(store: Path = STORE, docs: Path = DOCS) -> None:
    for path in save_figures(read(open_store(store), epochs=True), docs / "results", form="svg"):
        if path.name.partition("-")[0] not in SHOWN:
            path.unlink()
    (docs / "results.md").write_text(text(store, docs), encoding="utf-8")
    print(docs / "results.md")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
