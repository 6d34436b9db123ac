"""The full signatures of functions whose keywords are fields of dataclasses, for type checkers and editors.

Made by ``python -m tune_kd.api.stub > tune_kd/api/signatures.pyi``. A test sees to it that it is current.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterator
from typing import Any

from tune_kd.api import explanations, plans, recorded_runs, studies, study_plans

HEAD = '''"""Made by `python -m tune_kd.api.stub > tune_kd/api/signatures.pyi`; a test sees to it that it is current."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tune_kd.api.explanations import Explanations
from tune_kd.api.plans import Plan
from tune_kd.api.study_plans import StudyPlan
from tune_kd.history.rerun import Repeat
from tune_kd.progress.base import Progress
from tune_kd.results.outcome import Outcome
'''
FUNCTIONS: tuple[Callable[..., Any], ...] = (
    studies.run,
    studies.compare,
    studies.extend,
    studies.resume,
    studies.study,
    study_plans.plan_study,
    plans.plan,
    explanations.explain,
    recorded_runs.rerun,
)


def stub() -> str:
    """The text of the stub."""
    return HEAD + "\n" + "\n".join("\n".join(_lines(function)) for function in FUNCTIONS)


def _lines(function: Callable[..., Any]) -> Iterator[str]:
    yield f"def {function.__name__}("
    starred = False
    for parameter in inspect.signature(function).parameters.values():
        if parameter.kind is parameter.KEYWORD_ONLY and not starred:
            yield "    *,"
            starred = True
        default = "" if parameter.default is parameter.empty else f" = {parameter.default!r}"
        yield f"    {parameter.name}: {_annotation(parameter.annotation)}{default},".replace("'", '"')
    inside = inspect.unwrap(function).__annotations__["return"]
    yield f") -> {inside}:"
    documented = inspect.cleandoc(function.__doc__ or "").splitlines()
    body = "\n".join(f"    {line}".rstrip() for line in documented)
    closing = "\n    " if len(documented) > 1 else ""
    yield f'    """{body.strip()}{closing}"""'
    yield ""


def _annotation(annotation: Any) -> str:
    """As it is written: ``Mapping[str, Any] | list[str] | None``."""
    text = annotation if isinstance(annotation, str) else inspect.formatannotation(annotation)
    return re.sub(r"\b(?:[a-z_]+\.)+(?=[A-Z])", "", text)


if __name__ == "__main__":
    print(stub(), end="")
