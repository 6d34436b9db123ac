"""Real comparisons that stop once they are decided, and that go on where they were stopped."""

from __future__ import annotations

import pytest
from own_policies import write

import tune_kd
from tune_kd.budget.ledger import Ledger
from tune_kd.errors import InputError
from tune_kd.planning import looks
from tune_kd.planning.plan import RunPlan
from tune_kd.progress.base import Progress
from tune_kd.results.store import RecordedStore

pytestmark = pytest.mark.slow

# A margin as wide as this decides student at the first look. The policy of the file trains as fixed does, so that the
# two never differ, and without any spread nothing is decided.
SMALL = {"recipe.epochs": 3, "teacher_recipe.epochs": 1, "train_limit": 400, "equivalence_margin": 0.99}


class Stops(Progress):
    """Stops a study as Ctrl-C does, where a note begins with ``words`` or a run of ``replicate`` has started."""

    def __init__(self, words: str = "never", replicate: int | None = None) -> None:
        self.words, self.replicate = words, replicate
        self.notes: list[str] = []

    def note(self, text: str) -> None:
        self.notes.append(text)
        if text.startswith(self.words):
            raise KeyboardInterrupt

    def run_started(self, plan: RunPlan, ledger: Ledger) -> None:
        if plan.replicate == self.replicate:
            raise KeyboardInterrupt


def counts(store: RecordedStore) -> dict[str, int]:
    runs = store.runs()
    assert set(runs["status"]) == {"completed"}
    return {str(name): int(count) for name, count in runs["policy"].value_counts().items()}


@pytest.mark.parametrize(
    "stops", [Stops(), Stops("after 3 replicates"), Stops(replicate=3)], ids=["to the end", "between", "within"]
)
def test_undecided_policies_go_on_wherever_the_study_was_stopped(stops, ray_running, cache, tmp_path, monkeypatch):
    monkeypatch.setattr(looks, "FIRST_LOOK", 3)
    policies = ["fixed", "student", f"{write(tmp_path)}:Mine:low=4"]
    place = {"store": tmp_path / "runs", "cache": cache}
    try:
        tune_kd.compare(policies, until_decided=True, max_replicates=4, settings=SMALL, progress=stops, **place)
    except KeyboardInterrupt:
        tune_kd.resume(**place)
    store = tune_kd.open_store(place["store"], cache=cache)
    assert counts(store) == {"student": 3, "fixed": 4, "Mine:low=4": 4}
    runs = store.runs()
    assert runs["looks_json"].nunique() == 1
    assert runs.groupby("replicate")["planned_replicates"].unique().map(list).tolist() == [[3], [3], [3], [4]]
    pairs = store.verdicts()
    assert dict(zip(pairs["a"], pairs["verdict"], strict=True)) == {
        "student": "equivalent",
        "Mine:low=4": "inconclusive",
    }
    with pytest.raises(InputError, match="nothing to resume"):
        tune_kd.resume(**place)
