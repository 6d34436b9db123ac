"""How policies look: each of the catalogue has a colour, a dash and a marker of its own, in all figures and stores.

Colours are Okabe and Ito's, told apart by colour-blind readers too. Of 48 looks no two have colour and marker in
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
"""The policies of the catalogue in the order of their looks: the first eight have eight colours."""

Looks = dict[str, dict[str, str]]


def looks_of(records: Records) -> Looks:
    """How every policy of the records looks, the same in all comparisons.

    Of one policy with several options, the first label looks as the policy does where none is without options. Labels
    that are left, and policies that are no part of the catalogue, have the looks that it has not.
    """
    labels = list(map(str, records.labels))
    looks: dict[str, int] = {}
    for label in sorted(labels, key=lambda label: ":" in label):
        policy = label.partition(":")[0]
        if policy in CATALOGUE and CATALOGUE.index(policy) not in looks.values():
            looks[label] = CATALOGUE.index(policy)
    others = [label for label in labels if label not in looks]
    looks |= {label: len(CATALOGUE) + place for place, label in enumerate(others)}
    return {label: _look(label, looks[label]) for label in labels}


def look(labels: Iterable[str]) -> Looks:
    """How things look that are no policies, in their order."""
    return {label: _look(label, place) for place, label in enumerate(labels)}


def _look(label: str, i: int) -> dict[str, str]:
    """Colour, dash (SVG's) and marker; black is the text's own colour, which turns white in the dark."""
    colour = COLOURS[i % len(COLOURS)]
    return {
        "label": label,
        "colour": "currentColor" if colour == BLACK else colour,
        # One further in every round of colours: where a colour comes again, its dash is another.
        "dash": DASHES[(i + i // len(COLOURS)) % len(DASHES)],
        # One further after 24 looks, where colours and markers come to the same pairs again.
        "marker": SHAPES[(i + i // 24) % len(SHAPES)],
    }
