"""The paper's claims: what its own numbers say, what the records of a store say, and what would settle them.

    python -m analysis.pages.paper docs/results-store > docs/paper.md

No number of the page is typed in: they are from ``analysis/paper/numbers.csv`` and from the store.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from analysis.command import printed
from analysis.pages import paper_costs
from analysis.pages import paper_numbers as theirs
from analysis.pages import paper_records as ours
from analysis.pages.compared import comparisons
from analysis.pages.paper_numbers import Said
from analysis.rendering.table import pipes
from analysis.runs.reading import Records, read
from analysis.summary import REPLICATES_TO_CONCLUDE
from tune_kd.store import open_store

HEAD = """# The paper's claims

<!-- Made by `python -m analysis.pages.paper docs/results-store > docs/paper.md`; a test keeps it current. -->

Rafat et al. (PLoS ONE 18(5): e0285668, 2023) claim that a student whose temperature τ is drawn anew for each batch is
as good as one whose τ was tuned by a grid, for a nineteenth of the energy. This page has for each of the paper's
claims what its own numbers say, what the records in [results-store](results-store) say, and the command that would
settle it. The paper's numbers are in `analysis/paper/numbers.csv`.
[How a difference becomes a verdict](decisions/statistics.md) says what the words mean, and [results.md](results.md)
has all that the records show."""
SMALL = """**Nothing of it was trained at the paper's scale.** The records can show that a claim does not hold
everywhere. They cannot settle it on the paper's data and networks; `tune-kd list studies` shows what that would take.
Some were made beside other work, which is in their joules and not in their accuracies or FLOPs. They are of:"""


@dataclass(frozen=True, kw_only=True)
class Claim:
    """One claim, the studies of this project that would settle it, and what is known."""

    title: str
    studies: tuple[str, ...]
    numbers: Callable[[], Said]
    records: Callable[[Records], Said]
    open: str
    options: str = ""  # that the studies need for it

    @property
    def commands(self) -> list[str]:
        """What would settle it, as it is typed."""
        options = f" {self.options}" if self.options else ""
        return [f"tune-kd study {name} --replicates {REPLICATES_TO_CONCLUDE}{options}" for name in self.studies]


CLAIMS = (
    Claim(
        title="A random τ loses no accuracy against the tuned one",
        studies=("table4-images",),
        numbers=theirs.accuracy,
        records=ours.accuracy,
        open="Whether it holds at full scale, with seeds that differ, and for which losses.",
    ),
    Claim(
        title="It takes a nineteenth of the energy and of the CO2e",
        studies=("table1",),
        numbers=theirs.cost,
        records=paper_costs.cost,
        open="Measured joules at full scale on a machine without other work, each training asking the teacher as the "
        "paper's do, and equal accuracy beside them: the claim is of both.",
        options="--no-share-teacher --max-concurrent 1",
    ),
    Claim(
        title="Distilled students are above the student alone, and some above their teacher",
        studies=("table1", "table7"),
        numbers=theirs.students,
        records=ours.students,
        open="The gain over the student alone with an interval, at full scale.",
    ),
    Claim(
        title="It holds without training images",
        studies=("table6",),
        numbers=theirs.data_free,
        records=ours.data_free,
        open="A tuned score that was measured, and the cost of the images, which is the same for both and larger than "
        "a training's: [data-free.md](data-free.md) has figures on the digits.",
    ),
    Claim(
        title="It holds for strong and weak teachers and students",
        studies=("table7",),
        numbers=theirs.teachers,
        records=ours.teachers,
        open="All four pairs at full scale.",
    ),
    Claim(
        title="It holds for object detection",
        studies=("table4-voc",),
        numbers=theirs.detection,
        records=ours.detection,
        open="VOC at full scale with the student alone beside it. On small scenes of digits the paper's range of τ has "
        "no value that helps: [detection.md](detection.md).",
    ),
    Claim(
        title="How accuracy depends on a fixed τ (Figure 3a)",
        studies=("fig3a",),
        numbers=lambda: theirs.figure("Figure 3a"),
        records=ours.by_tau,
        open="The curve at full scale with intervals. Where it is flat, any τ does, and there is nothing to tune.",
    ),
    Claim(
        title="It holds for every batch size (Figure 3b)",
        studies=("fig3b",),
        numbers=lambda: theirs.figure("Figure 3b"),
        records=ours.batches,
        open="Five batch sizes at full scale.",
    ),
    Claim(
        title="A student's inference costs less than its teacher's (Figure 1)",
        studies=("fig1",),
        numbers=lambda: theirs.figure("Figure 1"),
        records=ours.inferences,
        open="Seconds and joules of all three networks on one machine.",
    ),
    Claim(
        title="Precision, recall, specificity, κ and F1 agree with it",
        studies=("table5",),
        numbers=theirs.metrics,
        records=ours.metrics,
        open="Which mean the paper's specificity is; ours is over classes.",
    ),
    Claim(
        title="It is better than quantization",
        studies=("table8",),
        numbers=theirs.quantization,
        records=lambda records: ours.of_study(records, "table8", "tables"),
        open="Accuracy, bytes and latency of a quantized student beside a distilled one, and of one that is both.",
    ),
    Claim(
        title="Logits and Grad-CAM maps of the students (Figure 4)",
        studies=("fig4",),
        numbers=lambda: theirs.figure("Figure 4"),
        records=lambda records: ours.of_study(records, "fig4", "explanation"),
        open="A measure of likeness over the whole test set in place of chosen pictures.",
    ),
)


def page(records: Records) -> str:
    """The whole page on these records."""
    found = [(claim, claim.numbers(), claim.records(records)) for claim in CLAIMS]
    rows = [[f"{i}. {claim.title}", paper.short, own.short] for i, (claim, paper, own) in enumerate(found, 1)]
    parts = [
        HEAD,
        *_scale(records),
        "## In short",
        pipes(["claim", "the paper's numbers", "our records"], rows, text_columns=3),
    ]
    for i, (claim, paper, own) in enumerate(found, 1):
        parts += [f"## {i}. {claim.title}", *_section(claim, paper, own)]
    return "\n\n".join(part for part in parts if part) + "\n"


def _scale(records: Records) -> Iterator[str]:
    found = list(comparisons(records))
    if not any(one.at_full_scale for one in found):
        yield SMALL
    yield "\n".join(f"- {one.title}" for one in found)


def _section(claim: Claim, paper: Said, own: Said) -> Iterator[str]:
    yield "### The paper's numbers"
    yield from paper.blocks
    yield "### Our records"
    yield from own.blocks
    yield "### Open"
    yield claim.open
    yield "```\n" + "\n".join(claim.commands) + "\n```"


def main(argv: Sequence[str] | None = None) -> int:
    """Print the page on the store named on the command line. Exit code 2: wrong input."""
    parser = argparse.ArgumentParser(description="The paper's claims, by its numbers and by a store's records.")
    parser.add_argument("store", metavar="STORE", help="folder or address of the store")
    given = parser.parse_args(argv)
    return printed(lambda: page(read(open_store(given.store))).removesuffix("\n"))


if __name__ == "__main__":
    raise SystemExit(main())
