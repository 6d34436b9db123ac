"""Code is told apart by what a result hangs on, and by nothing else."""

from __future__ import annotations

from dataclasses import replace

from tune_kd.cluster import code
from tune_kd.cluster.code import Code, this_code

HERE = Code(tune_kd="0.1.0", sources="9a3c", python="3.11.7", torch="2.11.0")


def test_the_same_code_differs_in_nothing() -> None:
    assert HERE.difference(replace(HERE)) == ""
    assert this_code().difference(this_code()) == ""


def test_a_difference_names_what_is_there_and_what_is_here() -> None:
    there = replace(HERE, sources="1f0e", torch="2.12.0")
    assert HERE.difference(there) == "sources 1f0e instead of 9a3c, torch 2.12.0 instead of 2.11.0"


def test_a_cpus_and_a_gpus_build_of_torch_may_meet() -> None:
    assert "+" not in this_code().torch


def test_git_is_asked_once_a_process_however_many_runs_are_planned() -> None:
    assert code.code() is code.code()
