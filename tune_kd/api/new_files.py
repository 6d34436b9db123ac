"""Files of one's own to begin with, each of which works as it is written."""

from __future__ import annotations

import re
from pathlib import Path

from tune_kd.errors import InputError, unknown

TEMPLATES = Path(__file__).parent / "templates"
KINDS = ("policy", "scenario", "space")


def new(what: str, name: str) -> list[Path]:
    """Write a policy and its test, a scenario or a search space into this folder; the files written.

    ``what`` is policy, scenario or space. Raises InputError for a name that is none or is taken; never overwrites.
    """
    if what not in KINDS:
        raise unknown("kind of file:", what, KINDS)
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9]*([-_][A-Za-z0-9]+)*", name):
        raise InputError(f"a name is letters, digits, - and _, a letter first, got {name!r}")
    if what == "policy":
        return _policy(name)
    return _write({f"{name}.toml": f"{what}.toml"}, {"FILE": name})


def policy_class(name: str) -> str:
    """The name of the class in the file of the policy ``name``: ``HalfWay`` of ``half-way``."""
    return "".join(word[:1].upper() + word[1:] for word in re.split("[-_]", name))


def _policy(name: str) -> list[Path]:
    from policies import POLICIES

    if name.lower().replace("_", "-") in POLICIES:
        raise InputError(f"the name {name!r} is taken by a policy of tune-kd; give another one")
    file = name.replace("-", "_").lower()
    title = " ".join(re.split("[-_]", name)).capitalize()
    filled = {"CLASS": policy_class(name), "FILE": file, "NAME": name, "TITLE": title}
    return _write({f"{file}.py": "policy.py", f"test_{file}.py": "test_policy.py"}, filled)


def _write(files: dict[str, str], filled: dict[str, str]) -> list[Path]:
    """Write each of ``files`` from its template, or none of them."""
    for file in files:
        if Path(file).exists():
            raise InputError(f"{file} is there already; give another name, or move it away")
    for file, template in files.items():
        text = (TEMPLATES / f"{template}.template").read_text(encoding="utf-8")
        for word, value in filled.items():
            text = text.replace(word, value)
        try:
            with Path(file).open("x", encoding="utf-8") as written:
                written.write(text)
        except OSError as error:
            raise InputError(f"{file} cannot be written: {error.strerror or error}") from None
    return [Path(file) for file in files]
