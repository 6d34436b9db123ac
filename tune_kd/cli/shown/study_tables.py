"""The tables of a study of the paper, and what was changed of its protocol."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tune_kd.cli.shown.results import DEFAULT_STORE
from tune_kd.cli.study_options import Shown
from tune_kd.planning.execution_options import Execution

if TYPE_CHECKING:
    import pandas as pd

    from analysis.rendering.table import Table
    from analysis.runs.reading import Records
    from tune_kd.planning.paper_protocol import Protocol
    from tune_kd.planning.plan import Study
    from tune_kd.results.outcome import Outcome


def show_study(outcome: Outcome, name: str, scale: str, execution: Execution, shown: Shown) -> None:
    """The study's tables, which protocol they are of, and where the records are."""
    from analysis.rendering.table import plain, rich_table
    from analysis.runs.reading import read
    from tune_kd.api.study_costs import said_of
    from tune_kd.cli.shown.ranking_tables import print_json, show
    from tune_kd.planning.paper_studies import in_words, settled_parts

    study_id = outcome.study.study_id
    records = read(outcome.store, study_id=study_id)
    tables, done_as = tables_of(name, records), _recorded_protocol(name, scale, records.runs)
    said = [in_words(part) for part in settled_parts(outcome.study)]
    if shown.json:
        found = {"study_id": study_id, **said_of(name, done_as), "store": str(execution.store), "parts": said}
        frames = [{"title": table.title, "rows": plain(table.data)} for table in tables]
        print_json({**found, "tables": frames})
        return
    for table in tables:
        print()
        show(rich_table(table))
    print(f"\n{name} at {done_as}:")
    for line in said:
        print(f"  {line}")
    if scale == "small":
        print(_small_scale(name, outcome.study))
    print(f"The records are in {execution.store}, study {study_id}.")
    if name == "fig4":
        elsewhere = "" if str(execution.store) == DEFAULT_STORE else f" --store {execution.store}"
        print(f"Draw it with: tune-kd explain {study_id}{elsewhere}")


def tables_of(name: str, records: Records) -> list[Table]:
    """The tables of a study in the paper's layout. Those of Table 4 are below the Table 1 of HKD, with the teachers."""
    from analysis import tables
    from analysis.paper import figure_tables
    from analysis.paper.quantized import int8_beside_float32

    figures = {"fig1": figure_tables.fig1, "fig3a": figure_tables.fig3a, "fig3b": figure_tables.fig3b}
    figures["fig4"] = figure_tables.fig4
    if name in figures:
        return figures[name](records)
    frame = tables.paper_frame(records.outcomes, records.runs, records.trials)
    whole = {"table5": tables.table5, "table6": tables.table6, "table7": tables.table7}
    if name == "table8":
        return [tables.table8(frame), int8_beside_float32(records)]
    if name in whole:
        return [whole[name](frame)]
    if name == "table1":
        return tables.table1(frame)
    return [*tables.table1(frame[frame["loss"] == "hkd"]), tables.table4(frame)]


def _small_scale(name: str, study: Study) -> str:
    """Which networks stand in for the paper's, and what small scale is no evidence for."""
    from tune_kd.planning.paper_scales import stand_ins

    used = {network for plan in study.runs for network in (plan.scenario.teacher, plan.scenario.student)}
    named = [f"{one} for {network}" for network, one in stand_ins(name).items() if one in used]
    instead = f"Stand-ins: {', '.join(named)}. " if named else ""
    return f"{instead}Small scale shows that everything works: it is no evidence for or against the paper's claims."


def _recorded_protocol(name: str, scale: str, runs: pd.DataFrame) -> Protocol:
    """Of all runs of the study, whether this command has made them or an earlier one."""
    from tune_kd.config.scenario import from_record
    from tune_kd.planning.paper_protocol import protocol

    first = runs.drop_duplicates("study_id")
    scenarios = dict(zip(first["study_id"], map(from_record, first["scenario_json"]), strict=True))
    return protocol(name, scale, scenarios, 1 + int(runs["replicate"].max()))
