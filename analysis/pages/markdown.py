"""A store's results as one Markdown document: what the verdicts allow, and no more.

``benchmarks/published_results.py`` writes ``docs/results.md`` with it, from the store that is published beside it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import pandas as pd

from analysis.figures.charts import PART_TITLES, parts_chart
from analysis.pages.answers import answers
from analysis.pages.headline import headline
from analysis.pages.provenance import measured, teacher_notes, versions
from analysis.paper.datasets import scenario_words
from analysis.ranking import against, claim_holds, pair_table, ranking_tables
from analysis.rendering.table import Table, as_rows, markdown, number, pipes
from analysis.runs.accounting import Accounting
from analysis.runs.outcomes import notices
from analysis.runs.planned_looks import planned_looks
from analysis.runs.reading import Records
from analysis.sensitivity import sensitivity_table
from analysis.statistics.power import typical_sd, verdict_shares
from analysis.summary import comparison_title, format_table, screening, tabulate
from analysis.target import format_target, target_table
from tune_kd.formats import MISSING, percentage

PAPERS_CLAIM = 1 / 19  # of grid search's energy, for the stochastic policy, at the same accuracy
# In the order in which they are told; the word that counts them.
VERDICTS = {"better": "different", "equivalent": "equivalent", "inconclusive": "inconclusive", "worse": "different"}


def document(records: Records, *, commands: Mapping[int, str], figures: Sequence[str] = (), head: str = "") -> str:
    """The document. ``commands``: by comparison, how to run it again; ``figures``: paths of pictures to show."""
    parts = ["# Results", head, *answers(records), *_in_short(records)]
    for comparison, rows in tabulate(records.outcomes).groupby("comparison", sort=True):
        parts += _comparison(records, int(str(comparison)), rows, figures)
    parts += [*_grounds(records), "## How to repeat it", *_repeating(commands)]
    return "\n\n".join(part for part in parts if part) + "\n"


def claim(outcomes: pd.DataFrame, *, policy: str = "stochastic", reference: str = "grid") -> str:
    """What the ``outcomes`` of one comparison say of the paper's claim; '' where the two policies were not compared.

    It is judged by all joules and by those of the processors above idle, and holds only by both: the first go by the
    hour where they are modelled, so that they follow how many trials run at a time.
    """
    ways = {
        "by all joules": outcomes,
        "by its processors' joules above idle": outcomes.assign(energy_j=outcomes["energy_processors_j"]),
    }
    pairs = {way: against(pair_table(costs), policy, reference) for way, costs in ways.items()}
    if not all(pairs.values()):
        return ""
    held = all(claim_holds(pair, PAPERS_CLAIM) for pair in pairs.values())
    verdict = next(iter(pairs.values()))["verdict"]
    taken = " and ".join(f"{_at_most(pair, reference)} {way}" for way, pair in pairs.items())
    found = f"{policy} is {verdict} in accuracy and takes {taken}; 1/19 is {number(PAPERS_CLAIM)}, and it takes both"
    shown = "holds" if held else "is not shown"
    return f"The paper's claim, the same accuracy at 1/19 of the energy, {shown} here: {found}."


def _at_most(pair: Mapping[str, Any], reference: str) -> str:
    """'0.0519 of grid's energy (one-sided 95 %: at most 0.0563)'."""
    if not math.isfinite(pair["ratio_upper"]):
        return f"an energy beside {reference}'s that is not known"
    return f"{number(pair['ratio'])} of {reference}'s energy (one-sided 95 %: at most {number(pair['ratio_upper'])})"


def _in_short(records: Records) -> Iterator[str]:
    yield "## In short"
    outcomes = records.outcomes
    table = tabulate(outcomes)
    for comparison, rows in table.groupby("comparison", sort=True):
        mine, pairs = outcomes[outcomes["comparison"] == comparison], _pairs(outcomes, int(str(comparison)))
        said = [headline(outcomes, int(str(comparison))), _beside(pairs, rows), _counts(pairs), claim(mine)]
        yield f"**{comparison_title(rows.iloc[0])}.** {' '.join(filter(None, said))}"
    yield from (f"- {line}" for line in notices(outcomes))


def _comparison(records: Records, comparison: int, rows: pd.DataFrame, figures: Sequence[str]) -> Iterator[str]:
    one = replace(records, outcomes=records.outcomes[records.outcomes["comparison"] == comparison])
    runs = records.runs[records.runs["run_id"].isin(one.outcomes["run_id"])]
    yield f"## {comparison_title(rows.iloc[0])}"
    yield " ".join([setting(runs), *(f"{line[0].upper()}{line[1:]}." for line in teacher_notes(runs))])
    if stamp := screening(rows):
        yield f"> **{stamp[0].upper()}{stamp[1:]}.**"
    yield _power(one.outcomes, rows)
    yield from (_untitled(table, "Ranking") for table in ranking_tables(one.outcomes))
    yield from (_untitled(table, "Costs") for table in format_table(rows))
    yield from (f"![{_file(path)}]({path})" for path in figures if _file(path).rsplit("-", 1)[-1] == str(comparison))
    targets = target_table(one.outcomes, one.runs, one.trials, accounting=Accounting())
    if len(targets):
        yield markdown(format_target(targets, "energy"))
    yield from (markdown(table) for what in PART_TITLES if (table := _parts(one, comparison, what)))
    if len(rules := sensitivity_table(one.outcomes, one.runs, one.trials)):
        yield markdown(_winners(rules))


def setting(runs: pd.DataFrame) -> str:
    """What the runs of one comparison trained, in a sentence."""
    words = scenario_words(runs.iloc[0])
    images = (
        "all training images" if not words["train_limit"] else f"{words['train_limit']:,.0f} of the training images"
    )
    networks = f"{words['teacher']} → {words['student']}, loss {words['loss']}"
    return f"{words['dataset']}, {networks}, {words['epochs']} epochs on {images}."


def _power(outcomes: pd.DataFrame, rows: pd.DataFrame) -> str:
    """What a comparison of so many policies and replicates could have shown at all."""
    spread, margin = typical_sd(outcomes), float(rows["equivalence_margin"].iloc[0])
    replicates, policies = int(rows["replicates"].min()), len(rows)
    # With looks it is the design that says it, and each verdict the look at which it fell.
    if spread is None or math.isnan(margin) or min(replicates, policies) < 2 or planned_looks(outcomes) is not None:
        return ""
    shares = verdict_shares(replicates, policies, sd=spread, margin=margin)
    shares["different"] = shares["better"] + shares["worse"]

    def told(name: str, digits: int = 0) -> str:
        return ", ".join(percentage(float(value), digits) for value in shares[name])

    return (
        "Paired differences between seeds have a standard deviation of"
        f" {percentage(spread, 2)} pp in the pair of policies in the middle. With that, {replicates} replicates and"
        f" {policies} policies, one that is truly better than the others by {told('difference', 2)} pp is called"
        f" different in {told('different')} % of its pairs, equivalent in {told('equivalent')} % and inconclusive in"
        f" {told('inconclusive')} %."
    )


def _counts(pairs: pd.DataFrame) -> str:
    if pairs.empty:
        return ""
    counts = pairs["verdict"].map(VERDICTS).value_counts()
    named = ", ".join(f"{counts.get(name, 0)} {name}" for name in dict.fromkeys(VERDICTS.values()))
    return f"Of {len(pairs)} pairs of policies: {named}."


def _beside(pairs: pd.DataFrame, rows: pd.DataFrame) -> str:
    """Every policy by its verdict against the reference."""
    reference = str(rows["reference"].iloc[0])
    found = {label: against(pairs, label, reference).get("verdict") for label in rows["label"] if label != reference}
    groups = {verdict: [label for label, own in found.items() if own == verdict] for verdict in VERDICTS}
    named = [f"{verdict}: {', '.join(labels)}" for verdict, labels in groups.items() if labels]
    return f"Against {reference}, {'; '.join(named)}." if named else ""


def _parts(records: Records, comparison: int, what: str) -> Table | None:
    chart = parts_chart(records, comparison, what)
    if chart is None:
        return None
    rows = [[label, *map(number, values)] for label, values in chart["rows"]]
    title = f"{chart['title']}, {chart['unit']}, means over replicates"
    return Table(title=title, headers=["policy", *chart["parts"]], rows=rows, data=pd.DataFrame())


def _winners(rules: pd.DataFrame) -> Table:
    """The least costly policy under every accounting rule."""
    rows = []
    for (currency, rule), mine in rules.groupby(["currency", "rule"], sort=False):
        least = ", ".join(mine.loc[mine["rank"] == 1, "label"])
        rows.append([str(currency), str(rule), least, "yes" if mine["changed"].any() else "no"])
    headers = ["currency", "rule", "least to the target (RMST)", "a rank differs from joules as recorded"]
    return Table(title="What the accounting decides", headers=headers, rows=rows, data=rules, text_columns=4)


def _grounds(records: Records) -> Iterator[str]:
    yield "## What was measured and what modelled"
    found = measured(records.outcomes, records.trials, records.nodes)
    yield _plain(["what", "method", "count"], found)
    yield "## What this does not say"
    energy = set(found.loc[found["what"] == "energy (attempts)", "method"])
    lines = ["*Inconclusive* is not *equivalent*: the data cannot tell."]
    if "model" in energy:
        lines.append("Energy by `model` is a stated power model's: it follows time and load. FLOPs are counted.")
    if screening(tabulate(records.outcomes)):
        lines.append("Where it says *screening*, there are too few replicates to conclude anything.")
    lines.append(
        "One teacher and one split a scenario: what another teacher or split would change is in no interval. Nor is"
        " another machine, network, data set or longer training."
    )
    yield "\n".join(f"- {line}" for line in lines)
    yield "## Versions and hardware"
    yield _plain(["what", "value"], versions(records.runs, records.nodes))


def _repeating(commands: Mapping[int, str]) -> Iterator[str]:
    yield "Accuracies repeat to the last digit with the same seed and packages; energies are the machine's."
    yield "```\n" + "\n".join(commands[comparison] for comparison in sorted(commands)) + "\n```"


def _pairs(outcomes: pd.DataFrame, comparison: int) -> pd.DataFrame:
    return pair_table(outcomes[outcomes["comparison"] == comparison])


def _untitled(table: Table, title: str) -> str:
    return markdown(replace(table, title=title))


def _plain(headers: Sequence[str], frame: pd.DataFrame) -> str:
    rows = [[str(value) or MISSING for value in row.values()] for row in as_rows(frame)]
    return pipes(headers, rows, text_columns=len(headers))


def _file(path: Any) -> str:
    """The name of a figure's file, without its ending."""
    return str(path).rpartition("/")[2].rpartition(".")[0]
