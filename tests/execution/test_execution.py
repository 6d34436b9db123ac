"""How a study is run, checked before anything starts."""

from __future__ import annotations

import pytest

from tune_kd.errors import InputError
from tune_kd.planning.execution_options import Execution


@pytest.mark.parametrize(
    ("option", "value"), [("cpus_per_trial", 0), ("gpus_per_trial", -1), ("max_concurrent", 0), ("max_failures", -1)]
)
def test_what_no_cluster_can_give_is_refused_by_the_options_name(option: str, value: float) -> None:
    with pytest.raises(InputError, match=f"--{option.replace('_', '-')} must be ≥ .*got {value}"):
        Execution(**{option: value})  # type: ignore[arg-type]
