"""The processes that train are started so that they keep the memory of a step for the next one."""

from __future__ import annotations

import os
from typing import Any

import pytest

from tune_kd.cluster.session import KEEP_MEMORY


@pytest.mark.slow
def test_workers_keep_the_memory_that_a_step_gives_back_and_the_driver_is_left_alone(ray_running: Any) -> None:
    seen = ray_running.remote(lambda: {name: os.environ.get(name) for name in KEEP_MEMORY}).remote()
    assert ray_running.get(seen) == KEEP_MEMORY
    assert not set(KEEP_MEMORY) & set(os.environ)
