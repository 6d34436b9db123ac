"""Marks of policies: each of the catalogue has a colour, a dash and a marker of its own, in all figures and stores.

Colours are Okabe and Ito's, told apart by colour-blind readers too. Of 48 marks no two have colour and marker in
common, of the first 32 none colour and dash.
"""

from __future__ import annotations

from collections.abc import Iterable

from analysis.runs.reading import Records

BLACK = "#000000"
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", BLACK, "#F0E442")
DASHES = ("", "7 4", "2 3", "9 3 2 3")
SHAPES = ("circle", "square", "up", "diamond", "down", "cross")
CATALOGUE = (
    *("student", "fixed", "grid", "random", "tpe", "annealing", "stochastic", "stochastic-per-sample"),
    *("stochastic-per-epoch", "stochastic-log-uniform", "dtkd", "logit-standardization", "normkd", "annealing-kd"),
    *("ctkd", "meta-kd", "gp", "cost-aware", "asha", "hyperband-tpe", "stochastic-around-best"),
)
"""The policies of the catalogue in the order of their marks: the first eight have eight colours."""

Marks = dict[str, dict[str, str]]


def marks_of(records: Records) -> Marks:
    """The mark of every policy of the records, the same in all comparisons.

    Of one policy with several options, the first label has the mark of the policy where none is without options. Labels
    that are left, and policies that are no part of the catalogue, have the marks that it has not.
    """
    labels = list(map(str, records.labels))
    marked: dict[str, int] = {}
    for label in sorted(labels, key=lambda label: ":" in label):
        policy = label.partition(":")[0]
        if policy in CATALOGUE and CATALOGUE.index(policy) not in marked.values():
            marked[label] = CATALOGUE.index(policy)
    others = [label for label in labels if label not in marked]
    marked |= {label: len(CATALOGUE) + place for place, label in enumerate(others)}
    return {label: _mark(label, marked[label]) for label in labels}


def marks(labels: Iterable[str]) -> Marks:
    """Marks of things that are no policies, in their order."""
    return {label: _mark(label, place) for place, label in enumerate(labels)}


def _mark(label: str, i: int) -> dict[str, str]:
    """Colour, dash (SVG's) and marker; black is the text's own colour, which turns white in the dark."""
    colour = COLOURS[i % len(COLOURS)]
    return {
        "label": label,
        "colour": "currentColor" if colour == BLACK else colour,
        # One further in every round of colours: where a colour comes again, its dash is another.
        "dash": DASHES[(i + i // len(COLOURS)) % len(DASHES)],
        # One further after 24 marks, where colours and markers come to the same pairs again.
        "marker": SHAPES[(i + i // 24) % len(SHAPES)],
    }
