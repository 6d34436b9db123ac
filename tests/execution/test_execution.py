"""How a study is run, checked before anything starts."""

from __future__ import annotations

import pytest

from tune_kd.errors import InputError
from tune_kd.planning.execution_options import Execution


@pytest.mark.parametrize(("given", "students"), [(1, 1), ("1", 1), ("19", 19), (4, 4), ("auto", None)])
def test_students_side_by_side_are_a_number_or_auto(given: int | str, students: int | None) -> None:
    assert Execution(side_by_side=given).students == students


@pytest.mark.parametrize("given", [0, -2, "0", "many", "2.5", ""])
def test_anything_else_is_refused(given: int | str) -> None:
    with pytest.raises(InputError, match="--side-by-side must be auto or a number ≥ 1, got"):
        Execution(side_by_side=given)


@pytest.mark.parametrize(
    ("option", "value"), [("cpus_per_trial", 0), ("gpus_per_trial", -1), ("max_concurrent", 0), ("max_failures", -1)]
)
def test_what_no_cluster_can_give_is_refused_by_the_options_name(option: str, value: float) -> None:
    with pytest.raises(InputError, match=f"--{option.replace('_', '-')} must be a number ≥ .*got {value}"):
        Execution(**{option: value})  # type: ignore[arg-type]
