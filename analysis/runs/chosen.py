"""The hyperparameters that a policy came to: those of its incumbents."""

from __future__ import annotations

import json
from collections import Counter

import pandas as pd

from tune_kd.formats import params, plural

MOST_NAMED = 3


def chosen(runs: pd.DataFrame) -> str:
    """'τ 4 (3×), τ 7, τ 9': the hyperparameters of the incumbents of one policy's runs, the most frequent first.

    ``runs`` are rows of :func:`analysis.runs.outcomes.run_outcomes`. '' where none is known.
    """
    counts = Counter(params(json.loads(text)) for text in runs["params"].dropna() if json.loads(text))
    said = [f"{name} ({count}×)" if count > 1 else name for name, count in counts.most_common(MOST_NAMED)]
    more = [plural(len(counts) - len(said), "other")] if len(counts) > len(said) else []
    return ", ".join([*said, *more])


def chosen_note(rows: pd.DataFrame) -> list[str]:
    """What validation chose, of the policies that had a choice; ``rows`` of :func:`analysis.summary.tabulate`."""
    searched = rows[(rows["trials"] > 1) & (rows["chosen"] != "")]
    told = [f"{label} {words}" for label, words in zip(searched["label"], searched["chosen"], strict=True)]
    return [f"chosen by validation: {'; '.join(told)}"] if told else []
