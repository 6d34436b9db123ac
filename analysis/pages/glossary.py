"""The words of tables, figures and messages, each in a sentence.

``python -m analysis.pages.glossary > docs/glossary.md`` writes the page of the documents; the HTML report has it, too.
"""

from __future__ import annotations

import html

GLOSSARY = {
    "run": "One policy's whole search with one seed, from its first trial to its last.",
    "trial": "One training of a student. A grid over 19 temperatures is a run of 19 trials.",
    "attempt": "A trial's training from its start, or from its last checkpoint after a failure, to its end.",
    "replicate": "Runs of all policies with the same seeds and batches. Policies are compared within it.",
    "incumbent": "The trial of a run with the best validation score so far, of equals the one with the lowest index. "
    "At the end of the run it is the student that the run hands in.",
    "test score": "The score of a run's incumbent on the test set. It is read once for each trial and chooses nothing.",
    "reference": "The policy that others are compared with: grid where it was run, else the first that was named.",
    "margin": "The difference in score that does not matter, fixed for a scenario before its runs.",
    "verdict": "What may be said of two policies: better, worse, equivalent within the margin, or inconclusive.",
    "rank": "The places that a policy may have by the verdicts: 1–4 is a policy that nothing is better than, and that "
    "is not told apart from three others.",
    "look": "A time at which a comparison that stops once it is decided is judged; planned before its first run.",
    "screening": "Fewer than 10 replicates, and no look that was planned: a hint of what may be there, no conclusion.",
    "budget": "How much a run may spend, in trials, epochs, FLOPs, joules, grams of CO2e or seconds; the same for all "
    "policies of a comparison.",
    "track": "When a run ends. recipe: after its policy's usual number of trials; budget: when the budget is spent; "
    "target: when a validation score is reached.",
    "overshoot": "What a run spent beyond its budget: at most the epoch that each of its trials was in.",
    "target": "The median validation score of τ = 4, trained to the end, less the margin.",
    "censored": "Of a run that never reached the target: known to cost the budget or more.",
    "RMST": "Restricted mean survival time: the mean cost to the target, a run that misses counted as the budget.",
    "ERT": "Expected running time: all that was spent over the number of runs that reached the target.",
    "PAR-2": "Penalised average runtime: the mean cost to the target, a run that misses counted as twice the budget.",
    "Pareto front": "The policies that no other beats in score and cost at once.",
    "co-tenants": "Other trials that were on a trial's machine with it. They share modelled idle and RAM energy.",
    "modelled energy": "Joules from a power model and the processor's time, where no counter can be read.",
    "CO2e": "Greenhouse gases as so much carbon dioxide: energy times the grams that a kWh of the place emits.",
    "pp": "Percentage point: 91 % is one above 90 %.",
}
"""By word, what it means."""

HEAD = """# Glossary

The words of tables, figures and messages. Made by `python -m analysis.pages.glossary > docs/glossary.md`.
"""


def glossary_list() -> str:
    """The glossary as HTML."""
    entries = (f"<dt>{html.escape(word)}</dt><dd>{html.escape(said)}</dd>" for word, said in GLOSSARY.items())
    return f'<dl class="glossary">{"".join(entries)}</dl>'


def page() -> str:
    """The glossary as Markdown."""
    rows = (f"| {word} | {said} |" for word, said in GLOSSARY.items())
    return "\n".join([HEAD, "| word | what it means |", "|---|---|", *rows])


if __name__ == "__main__":
    print(page())
