"""What the project uses is in the oldest Python, torch and torchvision that it supports: names and syntax.

Most environments have newer ones, so that names are compared with a list that was made with the oldest.
"""

from __future__ import annotations

import ast
import re
import tomllib

import pytest
import torch_names


def test_every_name_of_torch_is_in_the_oldest_supported_one() -> None:
    heading, names = torch_names.listed()
    assert heading == torch_names.heading(), "the oldest supported versions have changed: make the list anew with them"
    used = set().union(*(torch_names.used(file.read_text(encoding="utf-8")) for file in torch_names.sources()))
    assert sorted(used - set(names)) == [], "look these up in the oldest versions: python tests/helpers/torch_names.py"


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("import torch\ntorch.cuda.Event(enable_timing=True).record()", {"torch.cuda.Event"}),
        ("import torch.nn.functional as F\nF.pad(x, 1)", {"torch.nn.functional", "torch.nn.functional.pad"}),
        ("from torch import nn\nclass A(nn.Module): ...", {"torch.nn", "torch.nn.Module"}),
        ("import numpy as np\nnp.zeros(3)\nfrom .torch import x", set()),
    ],
)
def test_names_are_found_under_whatever_name_they_are_imported(text: str, names: set[str]) -> None:
    assert torch_names.used(text) == names


def test_a_name_is_looked_up_where_it_is() -> None:
    assert torch_names.lookup("torch.nn.functional.pad").__name__ == "pad"
    with pytest.raises(AttributeError):
        torch_names.lookup("torch.nn.functional.not_there")


def test_every_file_is_in_the_oldest_supported_python() -> None:
    project = tomllib.loads((torch_names.ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    major, minor = map(int, re.findall(r"\d+", project["requires-python"]))
    for file in torch_names.sources():
        ast.parse(file.read_text(encoding="utf-8"), str(file), feature_version=(major, minor))
