"""The paper's studies as plans, at one of the scales of :mod:`tune_kd.planning.paper_scales`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from tune_kd.config.scenario import load_scenario
from tune_kd.errors import InputError, unknown
from tune_kd.events import utc_now
from tune_kd.formats import plural
from tune_kd.planning.paper_catalogue import STUDIES, Part, paper_study
from tune_kd.planning.paper_scales import REPLICATES, SCALES, own_settings
from tune_kd.planning.plan import RunPlan, Study, plan_study
from tune_kd.store.ids import new_study_id, run_id, slug
from tune_kd.tasks.catalogue import task_of


def plan_parts(
    name: str,
    *,
    scale: str = "full",
    sources: Mapping[str, str | Path] | None = None,
    replicates: int | None = None,
    seed: int = 0,
    settings: Mapping[str, Any] | None = None,
) -> list[Study]:
    """The comparisons of a study, all of its input checked. Raises InputError.

    ``sources`` has the data for the name of a data set: a folder, or the name of another data set. ``settings`` set
    fields in all parts; what one part alone has set, as the epoch of the network that is only timed, stays. Where some
    parts are quantized, settings of quantization are theirs alone.
    """
    wanted = paper_study(name)
    if scale not in SCALES:
        raise unknown("scale", scale, SCALES)
    for preset in sources or {}:
        if preset not in wanted.data_sets:
            raise unknown(f"data set of study {name!r}:", preset, wanted.data_sets)
    for key, value in (settings or {}).items():
        _check_common(name, key, value)
    study_id = new_study_id(utc_now())
    studies: list[Study] = []
    for part in wanted.parts:
        own = {**own_settings(part, scale), **_source(part, sources or {})}
        planned = plan_study(
            policies=part.policies,
            scenario=part.scenario,
            replicates=REPLICATES[scale] if replicates is None else replicates,
            seed=seed,
            settings={**own, **_about(part, wanted.parts, settings or {}), **{key: own[key] for key in part.settings}},
            name=name if scale == "full" else f"{name}-{scale}",
        )
        if any(planned.scenario == known.scenario for known in studies):
            continue  # one data set in place of two makes two parts the same
        studies.append(_renamed(planned, f"{study_id}-{slug(part.label)}" if len(wanted.parts) > 1 else study_id))
    return studies


def in_words(study: Study) -> str:
    """What is trained in a part, how far, in what steps.

    As in ``wrn-16-2 → wrn-16-1 on cifar10, hkd: 1,000 images × 5 epochs, batch 32``.
    """
    scenario = study.scenario
    images = "all images" if scenario.train_limit is None else f"{scenario.train_limit:,} images"
    pair = f"{scenario.teacher} → {scenario.student} on {scenario.name}, {scenario.loss}"
    if (made := scenario.synthesis) is not None:
        images = f"{made.images:,} images by {made.method}"
    recipe, more = scenario.recipe, scenario.trial_epochs - scenario.recipe.epochs
    then = f", then {plural(more, 'epoch')} quantized" if more else ""
    return f"{pair}: {images} × {plural(recipe.epochs, 'epoch')}, batch {recipe.batch_size}{then}"


def named_after(study_name: str) -> tuple[str, str] | None:
    """The paper's study and the scale that a recorded study is of; None for any other study."""
    for scale in SCALES:
        name = study_name if scale == "full" else study_name.removesuffix(f"-{scale}")
        if name in STUDIES:
            return name, scale
    return None


def settled_parts(study: Study) -> list[Study]:
    """The parts of a study again: its runs by their scenario."""
    by_id: dict[str, list[RunPlan]] = {}
    for plan in study.runs:
        by_id.setdefault(plan.study_id, []).append(plan)
    return [Study(study_id=study_id, name=study.name, runs=tuple(runs)) for study_id, runs in by_id.items()]


def _check_common(name: str, key: str, value: object) -> None:
    """May all parts have this field alike? Not where they differ in it. Raises InputError."""
    differing = list(dict.fromkeys(part.settings[key] for part in STUDIES[name].parts if key in part.settings))
    if len(differing) > 1:
        choices = ", ".join(map(str, differing))
        raise InputError(
            f"study {name} compares parts by their {key} ({choices}), so that it cannot be {value!r} in all; "
            f"leave it out, or take tune-kd compare --scenario {STUDIES[name].parts[0].scenario} --set {key}={value}"
        )


def _about(part: Part, parts: Sequence[Part], settings: Mapping[str, Any]) -> dict[str, Any]:
    """Those settings of a study that are about this part."""
    apart = any(each.quantized for each in parts) and not part.quantized
    return {key: value for key, value in settings.items() if not (apart and key.startswith("quantization."))}


def _source(part: Part, sources: Mapping[str, str | Path]) -> dict[str, Any]:
    given = sources.get(part.data)
    if given is None:
        return {}
    if str(given) in task_of(load_scenario(part.scenario)).data_names:
        return {"data": str(given), "name": str(given), "description": ""}  # the preset's own is of other data
    if not Path(given).expanduser().is_dir():
        raise InputError(f"there is no data folder {str(given)!r} for {part.data}; give NAME=DIR with a folder")
    return {"data": str(Path(given).expanduser().resolve())}


def _renamed(study: Study, study_id: str) -> Study:
    """The same plan under another id, its runs too."""
    runs = (
        replace(plan, study_id=study_id, run_id=run_id(study_id, plan.label, plan.replicate)) for plan in study.runs
    )
    return replace(study, study_id=study_id, runs=tuple(runs))
