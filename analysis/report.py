"""One HTML file that answers the question and opens anywhere: no network, nothing to install.

The sentence first, then what it stands on. Everything in it comes from the store; nothing is run again.
"""

from __future__ import annotations

import html
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from analysis import across, sensitivity, tables, target
from analysis.figures import by_value, charts
from analysis.figures.data import confusions
from analysis.figures.detections import detections
from analysis.figures.explanations import explanations
from analysis.figures.marks import COLOURS
from analysis.figures.synthesised import sheets
from analysis.pages.detections import detections_page
from analysis.pages.explained import explained_page
from analysis.pages.glossary import glossary_list
from analysis.pages.headline import headline
from analysis.pages.provenance import learned_parameters, measured, teacher_notes, versions
from analysis.pages.shell import document
from analysis.pages.synthesised import synthesised_page
from analysis.paper import numbers
from analysis.ranking import format_pairs, pair_table, ranking_tables
from analysis.rendering.markup import (
    bar,
    figure,
    folded,
    html_table,
    matrix_table,
    most_confused_table,
    plain_table,
    tag,
)
from analysis.rendering.table import as_rows, number
from analysis.runs.accounting import CURRENCIES, Accounting
from analysis.runs.chosen import chosen_note
from analysis.runs.metric import at_start, metric_of
from analysis.runs.outcomes import notices
from analysis.runs.reading import Records, read
from analysis.summary import comparison_title, format_table, screening, tabulate
from tune_kd.formats import MISSING, plural

LARGEST_MATRIX = 25  # classes; above, the most frequent confusions are listed instead
METHODS = """Validation chooses, test reports: a policy's {metric} is the test {metric}, read once, of the trial with
the best validation {metric} of a run, of equals the first by its index. Costs are those of all attempts, failed ones
included, and of what the trials share; the test evaluation and the teacher are left out unless said. Policies are
paired by replicate: the same seeds, the same batches. Verdicts: t tests of the paired differences; better and worse by
a two-sided test, equivalent by two one-sided tests (TOST) within the scenario's margin, each corrected over all pairs
(Holm, 5 %); equivalent goes first. Intervals are 95 % Student t intervals; of cost ratios, of their logarithms; of the
mean cost to the target Gaffke's, for costs between 0 and the budget. Curves are step functions: a trial counts from
the moment it has ended. A run that misses the target is censored at the budget. Fewer than 10 replicates are
screening, not a conclusion."""
OF_LOOKS = """Where replicates were added at planned looks until policies were decided, Holm goes over the policies of a
look, at the look's level; the levels of all looks together are 5 %. A policy has the interval of the look at which its
verdict fell, else of the last one taken, which misses the true difference with that look's level."""


def build(records: Records, *, currency: str = "energy", title: str = "Which way of choosing τ pays?") -> str:
    """The report as the text of one HTML file. ``currency`` (a key of CURRENCIES) is what costs are first shown in."""
    return document(title, "\n".join(_body(records, currency, title)))


def write(records: Records, path: Path, *, currency: str = "energy") -> None:
    """Writes :func:`build` to ``path``, its folder made if missing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(build(records, currency=currency), encoding="utf-8")


def _body(records: Records, currency: str, title: str) -> Iterator[str]:
    yield f"<h1>{html.escape(title)}</h1>"
    outcomes = records.outcomes
    if outcomes.empty:
        yield tag("p", "The store holds no run yet.", "headline")
        return
    for line in notices(outcomes):
        yield tag("p", line, "note")
    yield '<p class="note"><a href="#glossary">What the words mean</a></p>'
    table = tabulate(outcomes)
    for comparison, rows in table.groupby("comparison", sort=True):
        yield from _comparison(records, int(str(comparison)), rows, currency)
    yield from _across(records)
    yield from _paper(records)
    yield from _provenance(records)


def _comparison(records: Records, comparison: int, rows: pd.DataFrame, currency: str) -> Iterator[str]:
    mine = records.outcomes[records.outcomes["comparison"] == comparison]
    one = replace(records, outcomes=mine)
    yield tag("h2", comparison_title(rows.iloc[0]))
    yield tag("p", headline(mine, comparison, currency), "headline")
    if stamp := screening(rows):
        yield tag("p", stamp, "stamp")
    for table in ranking_tables(mine, currency=currency):
        yield html_table(table, "Ranking")
    for note in (*chosen_note(rows), *teacher_notes(records.runs[records.runs["run_id"].isin(mine["run_id"])])):
        yield tag("p", note, "note")
    pairs = pair_table(mine, currency)
    if len(pairs):
        yield folded("Every pair", html_table(format_pairs(pairs)))
    for summary in format_table(rows, order=currency):
        yield folded("All costs", html_table(summary))
    yield from _charts(one, comparison)
    yield from _target(one, currency)
    yield from _parts(one, comparison)
    yield from _confusions(one)
    yield from explained_page(explanations(one).get(comparison))
    yield from synthesised_page(sheets(mine, records.runs).get(comparison))
    found = detections(mine, records.trials)
    yield from detections_page({label: seen for (_, label), seen in found.items()})


def _charts(records: Records, comparison: int) -> Iterator[str]:
    metric = metric_of(records.outcomes)
    captions = {
        f"What {metric} costs": (
            charts.curve_chart,
            "mean over replicates with its 95 % t interval; a step where a trial ends; a line as far as all replicates "
            "spent, faint beyond; the marker is at the mean cost, as in the tables",
        ),
        f"{at_start(metric)} over cost": (charts.pareto_chart, "mean ± standard deviation; left and up is better"),
        "What a target costs": (
            charts.target_chart,
            "Kaplan and Meier's estimate; a run that misses stays until its end",
        ),
        f"{at_start(metric)} by τ": (
            by_value.tau_chart,
            "all trials at a constant τ, mean over replicates with its 95 % t interval; on the test set, so not a way "
            "to choose τ",
        ),
        f"{at_start(metric)} by α": (
            by_value.alpha_chart,
            "all trials at a constant τ, whichever it was; mean over replicates with its 95 % t interval; on the test "
            "set, so not a way to choose α",
        ),
    }
    for title, (make, caption) in captions.items():
        chart = make(records, comparison)
        if chart is None:
            continue
        yield tag("h3", title)
        yield figure(chart, caption)


def _target(records: Records, currency: str) -> Iterator[str]:
    accounting = Accounting(currency=currency)
    found = target.target_table(records.outcomes, records.runs, records.trials, accounting=accounting)
    if len(found):
        yield html_table(target.format_target(found, currency), "Cost to the target")
    sensitive = sensitivity.sensitivity_table(records.outcomes, records.runs, records.trials)
    if len(sensitive):
        yield html_table(sensitivity.format_sensitivity(sensitive), "How much the accounting decides")


def _parts(records: Records, comparison: int) -> Iterator[str]:
    for what in charts.PART_TITLES:
        chart = charts.parts_chart(records, comparison, what)
        if chart is None:
            continue
        colours = COLOURS[: len(chart["parts"])]
        named = zip(chart["parts"], colours, strict=True)
        swatches = (
            f'<span class="part"><span class="swatch" style="background:{colour}"></span>{name}</span> '
            for name, colour in named
        )
        yield tag("h3", chart["title"])
        yield f'<p class="note">{"".join(swatches)} · mean over replicates, {chart["unit"]}</p>'
        largest = np.nansum([values for _, values in chart["rows"]], axis=1).max()
        shares = [[value / largest if largest else 0.0 for value in values] for _, values in chart["rows"]]
        bars = [bar(share, colours) for share in shares]
        rows = [
            (label, drawn, *map(number, values), _whole(total))
            for (label, values), drawn, total in zip(chart["rows"], bars, chart["totals"], strict=True)
        ]
        yield plain_table(["policy", "", *chart["parts"], "all [95 %]"], rows, raw={1})
    if learned := learned_parameters(records.outcomes, records.trials):
        counts = ", ".join(f"{label} {count}" for label, count in learned.items())
        yield tag("p", f"parameters that a policy learns beside the student's: {counts}", "note")


def _whole(total: tuple[float, float, float]) -> str:
    """A mean with its interval: ``48.4 [40.5, 56.3]``."""
    mean, low, high = map(number, total)
    return mean if low == MISSING else f"{mean} [{low}, {high}]"


def _confusions(records: Records) -> Iterator[str]:
    found = confusions(records.outcomes, records.trials)
    if not found:
        return
    parts = []
    for (_, label), matrix in found.items():
        shown = matrix_table(matrix) if len(matrix) <= LARGEST_MATRIX else most_confused_table(matrix)
        parts.append(tag("p", f"{label}: rows true, columns predicted, all replicates' incumbents") + shown)
    yield tag("h3", "Confusion matrices")
    yield folded(f"{len(found)} policies", "".join(parts))


def _across(records: Records) -> Iterator[str]:
    blocks = across.block_matrix(records.outcomes)
    if len(blocks) > 1 and blocks.shape[1] > 1:
        yield tag("h2", "Across scenarios")
        yield html_table(across.format_across(across.across(blocks)))


def _paper(records: Records) -> Iterator[str]:
    shown = [table for table in tables.tables(records, "energy") if table.rows]
    yield tag("h2", "The paper's tables")
    yield folded(plural(len(shown), "table"), "".join(html_table(table) for table in shown))


def _provenance(records: Records) -> Iterator[str]:
    yield tag("h2", "What was measured and what modelled")
    rows = as_rows(measured(records.outcomes, records.trials, records.nodes))
    yield plain_table(["what", "method", "count"], [tuple(str(value) for value in row.values()) for row in rows])
    carbon = (
        records.trials.reindex(columns=["carbon_source", "carbon_g_per_kwh", "pue"]).dropna(how="all").drop_duplicates()
    )
    for row in as_rows(carbon):
        intensity = f"{number(row['carbon_g_per_kwh'])} g CO2e/kWh, PUE {number(row['pue'])}"
        yield tag("p", f"Carbon: {intensity}; source: {row['carbon_source']}", "note")
    yield tag("h2", "Methods")
    yield tag("p", " ".join(METHODS.format(metric=metric_of(records.outcomes)).split()))
    if records.outcomes["looks_of"].notna().any():
        yield tag("p", " ".join(OF_LOOKS.split()))
    yield '<h2 id="glossary">Glossary</h2>'
    yield glossary_list()
    yield tag("h2", "Versions and hardware")
    known = as_rows(versions(records.runs, records.nodes))
    yield plain_table(["", ""], [(row["what"], row["value"]) for row in known])
    yield tag("h2", "How to cite")
    version = ", ".join(row["value"] for row in known if row["what"] == "code version") or "of unknown version"
    yield tag("p", f"tune-kd {version}, with the version table above; the question and the stochastic policy:")
    yield tag("p", " ".join((numbers.__doc__ or "").split("\n\n")[1].split("Means")[0].split()))


def main() -> int:
    """``python -m analysis.report STORE --html FILE``."""
    import argparse
    import sys

    from tune_kd import errors
    from tune_kd.store import open_store

    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("store", metavar="STORE", help="folder or address of the store")
    parser.add_argument("--html", default="report.html", metavar="FILE", type=Path)
    parser.add_argument("--by", default="energy", metavar="CURRENCY", help=f"one of {', '.join(CURRENCIES)}")
    given = parser.parse_args()
    try:
        if given.by not in CURRENCIES:
            raise errors.unknown("currency", given.by, CURRENCIES)
        write(read(open_store(given.store), epochs=True), given.html, currency=given.by)
    except (errors.InputError, errors.StoreError) as error:
        print(error, file=sys.stderr)
        return 2
    print(given.html)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
