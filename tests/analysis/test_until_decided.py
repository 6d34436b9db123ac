"""A comparison that stops once it is decided, from the frames of a store: its looks, who goes on, what it saved."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from synthetic import Frames, run, trial

from analysis import ranking
from analysis.pages.headline import headline
from analysis.runs.outcomes import notices, run_outcomes
from analysis.until_decided import standing

# Levels that the engine would not choose: it is the recorded ones that count.
LOOKS = {"replicates": [5, 10], "levels": [0.02, 0.03], "reference": "grid"}
GRID = (0.9, 0.91, 0.92, 0.91, 0.9, 0.93, 0.9, 0.91, 0.92, 0.9)
NEAR = (1e-4, -1e-4, 2e-4, -2e-4, 0.0) * 2  # to grid: within the margin of 0.3 pp
FAR = (0.05, 0.051, 0.052, 0.05, 0.049) * 2
WIDE = (0.05, -0.05, 0.03, -0.03, 0.01) * 2


def frames(looks: dict[str, object] | None = LOOKS, study_id: str = "s1", **differences: tuple[float, ...]) -> Frames:
    """Completed runs of grid and of policies that differ from it so much in each replicate; each takes 10 J."""
    runs, trials = [], []
    for policy, differing in {"grid": (0.0,) * max(map(len, differences.values())), **differences}.items():
        for replicate, difference in enumerate(differing):
            run_id = f"{study_id}-{policy}-{replicate}"
            planned = {"looks_json": json.dumps(looks)} if looks else {"looks_json": None}
            planned |= {"planned_replicates": 5 if replicate < 5 else 10, "seed": replicate, "study_id": study_id}
            runs.append(run(run_id, policy, replicate, **planned))
            trials.append(trial(run_id, 0, 0.9, GRID[replicate] + difference))
    return Frames(pd.DataFrame(runs), pd.DataFrame(trials), pd.DataFrame(), pd.DataFrame())


def outcomes_of(found: Frames) -> pd.DataFrame:
    return run_outcomes(found.runs, found.trials)


def test_the_first_look_decides_whom_it_can_and_the_rest_goes_on_with_the_reference() -> None:
    where = standing(outcomes_of(frames(near=NEAR[:5], far=FAR[:5], wide=WIDE[:5])))
    assert where.verdicts == {"near": "equivalent", "far": "better", "wide": "inconclusive"}
    assert (where.looked_at, where.open, where.next_look) == (5, ("wide", "grid"), 10)


def test_after_the_last_look_nothing_goes_on_whatever_is_open() -> None:
    where = standing(outcomes_of(frames(near=NEAR[:5], wide=WIDE)))
    assert where.verdicts == {"near": "equivalent", "wide": "inconclusive"}
    assert (where.looked_at, where.open, where.next_look) == (10, (), None)


def test_all_decided_is_the_end() -> None:
    assert standing(outcomes_of(frames(near=NEAR[:5], far=FAR[:5]))).next_look is None


def test_a_look_is_taken_only_once_all_of_its_runs_have_ended() -> None:
    found = frames(far=FAR, wide=WIDE)
    found.runs.loc[found.runs["run_id"] == "s1-wide-7", "status"] = "running"
    where = standing(outcomes_of(found))
    assert (where.looked_at, where.next_look) == (5, 10)
    pair = ranking.pair_table(outcomes_of(found)).set_index("a").loc["wide"]
    assert pair["n"] == 5, "seven replicates are no look"


def test_before_the_first_look_there_is_no_interval_and_no_verdict() -> None:
    found = frames(far=FAR[:5])
    found.runs.loc[found.runs["run_id"] == "s1-far-4", "status"] = "running"
    outcomes = outcomes_of(found)
    [pair] = ranking.pair_table(outcomes).to_dict("records")
    assert (pair["verdict"], pair["n"]) == ("inconclusive", 4)
    assert np.isnan([pair["low"], pair["high"], pair["p_difference"], pair["look"]]).all()
    assert standing(outcomes).looked_at == 0
    assert headline(outcomes, 0).startswith("Not decided yet (after 0 replicates, next look at 5): ")


def test_a_failed_run_is_missing_at_its_look_and_holds_up_nobody() -> None:
    found = frames(far=FAR[:5], wide=WIDE[:5])
    found.runs.loc[found.runs["run_id"] == "s1-wide-2", "status"] = "failed"
    where = standing(outcomes_of(found))
    assert (where.looked_at, where.open) == (5, ("wide", "grid"))
    assert ranking.pair_table(outcomes_of(found)).set_index("a").loc["wide", "n"] == 4


def test_a_policy_all_of_whose_runs_fail_gets_no_more() -> None:
    found = frames(far=FAR[:5], broken=WIDE[:5])
    found.runs.loc[found.runs["policy"] == "broken", "status"] = "failed"
    assert standing(outcomes_of(found)).next_look is None


def test_the_pairs_are_those_with_the_reference_each_at_the_level_of_its_look() -> None:
    outcomes = outcomes_of(frames(far=FAR[:5], wide=WIDE))
    pairs = ranking.pair_table(outcomes).set_index("a")
    assert pairs["b"].tolist() == ["grid", "grid"]
    assert pairs["look"].loc["far"] == 5
    assert np.isnan(pairs["look"].loc["wide"])
    assert pairs["confidence"].to_dict() == pytest.approx({"far": 0.98, "wide": 0.97})
    for name, values, confidence in (("far", FAR[:5], 0.98), ("wide", WIDE, 0.97)):
        low, high = stats.t.interval(confidence, len(values) - 1, np.mean(values), stats.sem(values))
        assert pairs.loc[name, ["low", "high"]].tolist() == pytest.approx([low, high])
    # Two policies at the first look, which has 2 of 5 %: Holm's first step is charged 2 · 5 / 2 times.
    p_value = stats.ttest_1samp(FAR[:5], 0).pvalue
    assert pairs.loc["far", "p_difference_holm"] == pytest.approx(5 * p_value)


def test_the_tables_say_at_which_look_a_verdict_fell_and_what_was_saved() -> None:
    [table] = ranking.ranking_tables(outcomes_of(frames(far=FAR[:5], wide=WIDE)))
    place = table.headers.index("look")
    assert {row[0]: row[place] for row in table.rows} == {"far": "5", "wide": "—", "grid": "—"}
    assert "Δ pp [at its look]" in table.headers
    assert "with the Student t interval of its look (98 or 97 %) over n = 5 to 10 pairs" in table.caption
    notes = " ".join(table.notes)
    assert "2 of 2 looks, planned at 5, 10 replicates" in notes
    assert "with Holm over 2 policies at 2, 3 %: errors over all looks are 5 % at most" in notes
    assert "an interval is that of its policy's look, else of the last one taken: 98, 97 %" in notes
    # 25 runs of 10 J; 30 without looks.
    assert "spent 69.4 mWh in 25 runs; 10 replicates of all policies would have spent about 83.3 mWh" in notes
    assert "screening" not in notes


def test_planned_runs_have_spent_nothing_and_those_under_way_what_they_have() -> None:
    found = frames(far=FAR[:5], wide=WIDE)
    gone = found.trials["run_id"].isin(["s1-wide-8", "s1-wide-9"])
    found.runs.loc[found.runs["run_id"].isin(["s1-wide-8", "s1-wide-9"]), "status"] = "planned"
    [table] = ranking.ranking_tables(outcomes_of(found._replace(trials=found.trials[~gone])))
    assert "spent 63.9 mWh in 23 runs; 10 replicates" in " ".join(table.notes)  # 23 runs of 10 J


def test_intervals_of_one_look_have_their_confidence_in_the_header() -> None:
    [table] = ranking.ranking_tables(outcomes_of(frames(far=FAR[:5], wide=WIDE[:5])))
    assert "Δ pp [98 %]" in table.headers
    assert "with its 98 % Student t interval over n = 5 pairs" in table.caption
    pairs = ranking.format_pairs(ranking.pair_table(outcomes_of(frames(far=FAR[:5], wide=WIDE))))
    assert "difference pp [at its look]" in pairs.headers


def test_a_study_with_looks_is_never_pooled_with_another() -> None:
    one, other, plain = frames(far=FAR[:5]), frames(study_id="s2", far=FAR[:5]), frames(None, "s3", far=FAR[:5])
    both = Frames(*(pd.concat(tables, ignore_index=True) for tables in zip(one, other, plain, strict=True)))
    outcomes = outcomes_of(both)
    assert outcomes.groupby("comparison")["study_id"].nunique().tolist() == [1, 1, 1]
    assert outcomes["counted"].all()


def test_a_plain_study_that_was_extended_says_that_its_errors_are_those_of_one_look() -> None:
    said = [line for line in notices(outcomes_of(frames(None, far=FAR, wide=WIDE))) if "single look" in line]
    assert len(said) == 1
    assert "(s1 from 5 to 10)" in said[0]


@pytest.mark.parametrize("looks", [LOOKS, None])
def test_a_study_as_it_was_planned_says_nothing_of_the_kind(looks: dict[str, object] | None) -> None:
    found = frames(looks, far=FAR if looks else FAR[:5])
    assert not any("single look" in line for line in notices(outcomes_of(found)))
