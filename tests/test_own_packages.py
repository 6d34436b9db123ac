"""Whoever imports tune_kd gets our packages, whatever folder with the same names lies around."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tune_kd.own_packages import PACKAGES, ROOT

# Where Python would take each package from: the question alone, since the answer imports torch.
SHOW = """
from importlib.util import find_spec
for name in ("analysis", "policies", "search_spaces"):
    print(find_spec(name).origin)
"""
OURS = [str(ROOT / name / "__init__.py") for name in ("analysis", "policies", "search_spaces")]


@pytest.fixture
def foreign(tmp_path: Path) -> Path:
    """A folder with packages of our names that are somebody else's."""
    for name in PACKAGES:
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text("MINE = True\n", encoding="utf-8")
        (tmp_path / name / "base.py").write_text("MINE = True\n", encoding="utf-8")
    return tmp_path


def run_script(folder: Path, text: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run ``text`` as a script that lies in ``folder``, started from there."""
    script = folder / "script.py"
    script.write_text(text, encoding="utf-8")
    return subprocess.run(
        [sys.executable, "-W", "error", script.name],
        cwd=folder,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def test_a_script_that_imports_tune_kd_gets_our_packages(foreign: Path) -> None:
    done = run_script(foreign, "import tune_kd" + SHOW)
    assert (done.stderr, done.stdout.split()) == ("", OURS)


def test_the_finder_comes_before_a_path_set_by_the_environment(
    foreign: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    done = run_script(elsewhere, "import tune_kd" + SHOW, PYTHONPATH=str(foreign))
    assert (done.stderr, done.stdout.split()) == ("", OURS)


def test_a_path_that_is_put_first_later_changes_nothing(
    foreign: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Ray puts the driver's folder on its workers' path when tune_kd may have been imported already."""
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    done = run_script(elsewhere, f"import sys, tune_kd\nsys.path.insert(0, {str(foreign)!r})\n" + SHOW)
    assert (done.stderr, done.stdout.split()) == ("", OURS)


def test_modules_within_our_packages_are_ours_too(foreign: Path) -> None:
    done = run_script(foreign, "import tune_kd\nimport search_spaces.space, policies.base\nprint(policies.base.Policy)")
    assert (done.stderr, done.stdout.strip()) == ("", "<class 'policies.base.Policy'>")


def test_other_imports_are_left_alone(foreign: Path) -> None:
    (foreign / "helper.py").write_text("ANSWER = 42\n", encoding="utf-8")
    done = run_script(foreign, "import tune_kd\nimport helper\nprint(helper.ANSWER)")
    assert (done.stderr, done.stdout.strip()) == ("", "42")


@pytest.mark.parametrize("name", PACKAGES)
def test_a_foreign_package_that_came_first_is_named_in_one_clear_line(name: str, foreign: Path) -> None:
    done = run_script(foreign, f"import {name}\nimport tune_kd\n")
    *_, last = done.stderr.strip().splitlines()
    assert done.returncode == 1
    assert last.startswith("ImportError: tune-kd's package")
    assert f"{name!r} is shadowed by {foreign / name / '__init__.py'}" in last
    assert "import tune_kd before it" in last


def test_a_foreign_module_of_one_file_is_named_too(tmp_path: Path) -> None:
    (tmp_path / "analysis.py").write_text("", encoding="utf-8")
    done = run_script(tmp_path, "import analysis\nimport tune_kd\n")
    assert f"'analysis' is shadowed by {tmp_path / 'analysis.py'}" in done.stderr.strip().splitlines()[-1]


def test_a_foreign_folder_without_an_init_is_named_too(tmp_path: Path) -> None:
    """A namespace package has no file, and takes the name all the same."""
    (tmp_path / "analysis").mkdir()
    (tmp_path / "analysis" / "plots.py").write_text("", encoding="utf-8")
    done = run_script(tmp_path, "import analysis.figures.plots\nimport tune_kd\n")
    assert "'analysis' is shadowed by" in done.stderr


def test_our_own_packages_may_come_first(tmp_path: Path) -> None:
    done = run_script(tmp_path, "import search_spaces\nimport tune_kd" + SHOW)
    assert (done.stderr, done.stdout.split()) == ("", OURS)


def test_importing_tune_kd_loads_nothing_heavy(tmp_path: Path) -> None:
    heavy = {"torch", "ray", "numpy", "pandas", "pyarrow"}
    done = run_script(tmp_path, f"import sys, tune_kd\nprint(sorted({heavy!r} & set(sys.modules)))")
    assert (done.stderr, done.stdout.strip()) == ("", "[]")


WORKERS_PATH = """
import tune_kd.own_packages, statistics
print(*tune_kd.own_packages.workers_path(), sep="\\n")
"""


def test_workers_take_standard_modules_from_pythons_library_and_a_scripts_own_from_its_folder(tmp_path: Path) -> None:
    library, extensions, own = run_script(tmp_path, WORKERS_PATH).stdout.split()
    assert (Path(library) / "statistics.py").is_file()
    assert list(Path(extensions).glob("_*.so"))
    assert Path(own) == tmp_path


def test_workers_do_not_import_from_the_folder_where_a_command_is_given(tmp_path: Path) -> None:
    """A command is a script that lies elsewhere."""
    command, folder = tmp_path / "bin" / "command", tmp_path / "here"
    for path in (command.parent, folder):
        path.mkdir()
    command.write_text(WORKERS_PATH, encoding="utf-8")
    done = subprocess.run([sys.executable, command], cwd=folder, capture_output=True, text=True, check=True)
    assert [Path(line) for line in done.stdout.split()[2:]] == [command.parent]
