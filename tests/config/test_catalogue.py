"""Names become policies and spaces, and records give them back."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

import policies
from policies import POLICIES
from policies.annealing import Annealing
from policies.grid import Grid
from policies.stochastic import Stochastic
from policies.tpe import TPE
from search_spaces import SPACES, Dimension
from tune_kd.config.catalogue import make_policy, policy_from_record, policy_record, policy_sha256
from tune_kd.config.spaces import make_space
from tune_kd.errors import InputError

LABELS = [*POLICIES, "annealing:shape=cosine", "stochastic:continuous=true", "tpe:startup=3"]


@pytest.mark.parametrize(
    ("label", "policy"),
    [
        ("grid", Grid()),
        ("annealing", Annealing(shape="linear")),
        ("annealing:shape=cosine", Annealing(shape="cosine")),
        ('annealing:shape="cosine"', Annealing(shape="cosine")),
        ("stochastic", Stochastic(continuous=False)),
        ("stochastic:continuous", Stochastic(continuous=True)),
        ("stochastic:continuous=true", Stochastic(continuous=True)),
        ("stochastic:continuous=false", Stochastic(continuous=False)),
        ("tpe:startup=3", TPE(startup=3)),
    ],
)
def test_options_follow_the_name(label: str, policy: policies.Policy) -> None:
    assert make_policy(label) == policy


@pytest.mark.parametrize("label", LABELS)
def test_the_record_of_a_policy_gives_it_back(label: str) -> None:
    policy = make_policy(label)
    record = policy_record(policy)
    assert policy_from_record(record) == policy
    assert json.loads(record)["name"] == policy.name


def test_a_record_holds_the_options_that_were_left_at_their_defaults() -> None:
    """A default may change with a version; what was run may not."""
    assert json.loads(policy_record(make_policy("annealing")))["options"] == {"shape": "linear"}


@pytest.mark.parametrize("name", POLICIES)
def test_the_hash_is_that_of_the_policys_own_source_file(name: str) -> None:
    source = Path(policies.__file__).parent / f"{name.replace('-', '_')}.py"
    assert policy_sha256(make_policy(name)) == hashlib.sha256(source.read_bytes()).hexdigest()


def test_a_space_goes_by_its_name_or_its_file(tmp_path: Path) -> None:
    assert make_space("tau") is SPACES["tau"]
    path = tmp_path / "narrow.toml"
    path.write_text("[tau]\nlow = 3\nhigh = 5\n", encoding="utf-8")
    assert make_space(str(path)).tau == Dimension(low=3, high=5)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("tua", ["unknown space 'tua'", "did you mean 'tau'", "tau-alpha"]),
        ("missing.toml", ["missing.toml", "No such file"]),
    ],
)
def test_a_space_that_is_not_there_is_refused_in_one_line(text: str, words: list[str]) -> None:
    with pytest.raises(InputError) as refused:
        make_space(text)
    assert "\n" not in str(refused.value)
    assert [word for word in words if word not in str(refused.value)] == []


def test_a_temperature_of_zero_is_refused_in_one_line(tmp_path: Path) -> None:
    path = tmp_path / "zero.toml"
    path.write_text("[tau]\nlow = 0\nhigh = 5\n", encoding="utf-8")
    with pytest.raises(InputError, match=r"^space 'zero': τ must be > 0, got low = 0$"):
        make_space(str(path))
