"""A policy of the user's own: named by its file, recorded as its text, made again from the record alone."""

from __future__ import annotations

import copy
import hashlib
import json
import pickle
import subprocess
import sys
from pathlib import Path

import pytest
from own_policies import CLASS, HEAD, WORKS, write
from ray import cloudpickle

from policies import POLICIES
from tune_kd.config import policy_file
from tune_kd.config.catalogue import make_policy, policy_from_record, policy_record, policy_sha256
from tune_kd.errors import InputError
from tune_kd.planning.plan import plan_study


def test_its_options_are_typed_like_any_policys(tmp_path: Path) -> None:
    file = write(tmp_path)
    policy = make_policy(f"{file}:Mine:low=4:loud:shape=round")
    assert (policy.name, policy.low, policy.steps, policy.loud, policy.shape) == ("Mine", 4.0, 3, True, "round")
    assert policy == make_policy(f"{file}:Mine:low=4.0:loud=true:shape=round")
    assert policy != make_policy(f"{file}:Mine")


def test_its_record_is_its_text_and_its_hash_that_of_the_file(tmp_path: Path) -> None:
    file = write(tmp_path)
    policy = make_policy(f"{file}:Mine:steps=5")
    assert json.loads(policy_record(policy)) == {
        "name": "Mine",
        "adapts": False,
        "options": {"low": 2.0, "steps": 5, "loud": False, "shape": "flat"},
        "class": "Mine",
        "file": file,
        "source": WORKS,
    }
    assert policy_sha256(policy) == hashlib.sha256(WORKS.encode()).hexdigest()


def test_a_changed_file_has_another_hash_now_and_the_record_keeps_the_old_text(tmp_path: Path) -> None:
    file = write(tmp_path)
    policy = make_policy(f"{file}:Mine")
    record, before = policy_record(policy), policy_sha256(policy)
    write(tmp_path, WORKS.replace("return Constant(self.low)", "return Constant(9.0)"))
    assert policy_sha256(policy, now=True) != before == policy_sha256(policy)
    assert policy_from_record(record).temperature({}, 0).tau == 2
    assert make_policy(f"{file}:Mine").temperature({}, 0).tau == 9
    Path(file).unlink()
    assert policy_sha256(policy, now=True) == before, "without a file, the record is all there is"


def in_another_process(code: str, *words: str) -> str:
    done = subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_another_process_makes_it_from_the_record_without_the_file(tmp_path: Path) -> None:
    file = write(tmp_path)
    record = policy_record(make_policy(f"{file}:Mine:low=7"))
    Path(file).unlink()
    code = "import sys; from tune_kd.config.catalogue import *; "
    code += "print(policy_from_record(sys.argv[1]).temperature({}, 0).tau)"
    assert in_another_process(code, record) == "tensor(7.)\n"


def test_it_survives_pickling_into_another_process_and_copying(tmp_path: Path) -> None:
    policy = make_policy(f"{write(tmp_path)}:Mine:low=7")
    assert copy.deepcopy(policy) == policy
    assert pickle.loads(pickle.dumps(policy)) == policy
    code = "import pickle, sys; policy = pickle.loads(bytes.fromhex(sys.argv[1])); print(policy.temperature({}, 0).tau)"
    assert in_another_process(code, cloudpickle.dumps(policy).hex()) == "tensor(7.)\n"


def test_its_name_is_its_classs_or_the_classs_own_word_for_it(tmp_path: Path) -> None:
    named = CLASS.replace("    low", '    name = "my-own"\n    low', 1)
    assert make_policy(f"{write(tmp_path, HEAD + named, 'named.py')}:Mine").name == "my-own"
    derived = HEAD + "from policies.stochastic import Stochastic\n\n\n@dataclass(frozen=True, kw_only=True)\n"
    derived += "class Calmer(Stochastic):\n    pass\n"
    calmer = make_policy(f"{write(tmp_path, derived, 'calmer.py')}:Calmer:continuous")
    assert calmer.name == "Calmer", "not the name of what it is derived from"
    assert POLICIES["stochastic"].name == "stochastic"


def test_a_plan_calls_it_by_its_name_and_the_options_that_were_typed(tmp_path: Path) -> None:
    file = write(tmp_path)
    study = plan_study(policies=["grid", f"{file}:Mine", f"{file}:Mine:low=4", f"{file}:Mine:low=4.0"])
    assert [run.label for run in study.runs] == ["grid", "Mine", "Mine:low=4"]
    assert [run.run_id.removeprefix(study.study_id) for run in study.runs] == ["-grid-r0", "-mine-r0", "-mine-low-4-r0"]


def test_two_files_cannot_go_by_one_name(tmp_path: Path) -> None:
    files = [write(tmp_path, WORKS + rest, f"{name}.py") for name, rest in (("one", ""), ("two", "\n# other\n"))]
    with pytest.raises(InputError, match="two different policies are called Mine"):
        plan_study(policies=[f"{file}:Mine" for file in files])


# By what is wrong: the file's text, what is named of it, and what the one line has to say.
NOT_USABLE = {
    "no such class": (WORKS, ":Mien", ["mine.py", "'Mien'", "did you mean 'Mine'"]),
    "no class named": (WORKS, "", ["name its class", "mine.py:Mine"]),
    "no policy in it": ("x = 1\n", ":Mine", ["mine.py", "no subclass", "tune-kd new policy"]),
    "another class": (WORKS + "class Other: pass\n", ":Other", ["Other", "no subclass of policies.Policy"]),
    "no dataclass": (WORKS.replace("@dataclass(frozen=True, kw_only=True)", ""), ":Mine", ["@dataclass(frozen=True"]),
    "not frozen": (WORKS.replace("frozen=True, ", ""), ":Mine", ["frozen dataclass"]),
    "abstract": (WORKS.replace("def temperature", "def heat"), ":Mine", ["Mine", "lacks temperature"]),
    "no default": (WORKS.replace("low: float = 2.0", "low: float"), ":Mine", ["option low", "default"]),
    "odd default": (WORKS.replace('"flat"', "()"), ":Mine", ["option shape", "default"]),
    "a name of ours": (WORKS.replace("    low", '    name = "Grid"\n    low', 1), ":Mine", ["'Grid'", "taken"]),
    "a bad name": (WORKS.replace("    low", '    name = "a b"\n    low', 1), ":Mine", ["letters", "'a b'"]),
    "unknown option": (WORKS, ":Mine:lo=3", ["'lo'", "did you mean 'low'"]),
    "option of another kind": (WORKS, ":Mine:steps=2.5", ["steps", "whole number", "2.5"]),
    "refused option": (WORKS, ":Mine:low=-1", ["low must be > 0", "-1"]),
    "no temperature": (WORKS.replace("Constant(self.low)", "4"), ":Mine", ["temperature()", "got 4"]),
}


@pytest.mark.parametrize("wrong", NOT_USABLE)
def test_what_cannot_be_used_is_refused_in_one_line(wrong: str, tmp_path: Path) -> None:
    text, named, words = NOT_USABLE[wrong]
    with pytest.raises(InputError) as refused:
        plan_study(policies=[write(tmp_path, text) + named])
    assert "\n" not in str(refused.value)
    assert [word for word in words if word not in str(refused.value)] == []
    assert not getattr(refused.value, "__notes__", []), "it is no fault of the policy's code"


def test_a_file_that_is_not_there_is_refused_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"cannot read the policy file .*gone\.py: No such file"):
        make_policy(f"{tmp_path / 'gone.py'}:Mine")


BROKEN = HEAD + "\n\ndef look(x):\n    return {}[x]\n"
FORWARD = """

class Broken(Temperature):
    def forward(self, step, student_logits, teacher_logits):
        return look("τ")
"""


@pytest.mark.parametrize(
    ("text", "place", "source"),
    [
        (HEAD + "class Mine(Policy:\n", "line 7: SyntaxError: ", "class Mine(Policy:"),
        (HEAD + "import no_such_package\n", "line 7, in <module>: ModuleNotFoundError: ", "import no_such_package"),
        (BROKEN + "look('at import')\n", "line 10, in look: KeyError: 'at import'", "look('at import')"),
        (BROKEN + CLASS.replace("Constant(self.low)", "look(3)"), "line 10, in look: KeyError: 3", "return look(3)"),
        (BROKEN + FORWARD + CLASS.replace("Constant(self.low)", "Broken()"), "KeyError: 'τ'", 'return look("τ")'),
    ],
    ids=["syntax", "import", "module", "temperature", "forward"],
)
def test_what_it_raises_is_told_with_its_own_lines(text: str, place: str, source: str, tmp_path: Path) -> None:
    file = write(tmp_path, text)
    with pytest.raises(policy_file.PolicyError) as refused:
        plan_study(policies=[f"{file}:Mine"])
    assert str(refused.value).startswith(f"{file}, line ")
    assert place in str(refused.value)
    [note] = refused.value.__notes__
    assert f'File "{file}", line ' in note
    assert source in note
    assert "tune_kd" not in note.replace(str(tmp_path), "")


def test_what_it_raises_in_another_process_is_told_with_its_lines_though_there_is_no_file(tmp_path: Path) -> None:
    file = write(tmp_path, BROKEN + CLASS.replace("Constant(self.low)", "look(seed)"))
    record = policy_record(make_policy(f"{file}:Mine"))
    Path(file).unlink()
    code = """
import sys
from tune_kd.config import catalogue, policy_file
try:
    with policy_file.explained():
        catalogue.policy_from_record(sys.argv[1]).temperature({}, 5)
except policy_file.PolicyError as error:
    print(error, *error.__notes__, sep="\\n")
"""
    told = in_another_process(code, record)
    assert told.splitlines()[0] == f"{file}, line 10, in look: KeyError: 5"
    assert "return look(seed)" in told
    assert "return {}[x]" in told


def test_what_others_raise_is_left_as_it_is() -> None:
    with pytest.raises(ZeroDivisionError) as raised, policy_file.explained():
        print(1 / 0)
    assert not hasattr(raised.value, "__notes__")
