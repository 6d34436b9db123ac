"""What a cache keeps in a bucket of a real S3 server: whole or not at all, for those who may, and nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from s3_server import KEY_ID, SECRET, FlakyServer

from tune_kd import checks
from tune_kd.cli import command_line
from tune_kd.errors import InputError, StoreError
from tune_kd.storage import checkpoints
from tune_kd.storage.cache import Cache, Kept, cache_at, default_cache
from tune_kd.storage.remote_folder import RemoteFolder
from tune_kd.training.teacher import Teacher, load_teacher, save_teacher

TEACHER = Teacher(
    teacher_id="a",
    weights={"weight": torch.arange(6.0).reshape(2, 3)},
    val_score=0.9,
    test_score=0.8,
    flops=None,
    energy_j=1.5,
    energy_method="model",
    duration_s=2.0,
)


@pytest.fixture
def url(s3: FlakyServer, tmp_path: Path) -> Iterator[str]:
    yield s3.url(f"{tmp_path.name}/cache")
    s3.calm()


@pytest.fixture
def remote(url: str) -> RemoteFolder:
    return RemoteFolder(url, waits_s=())


@pytest.fixture(params=["folder", "bucket"])
def kept(request: pytest.FixtureRequest, tmp_path: Path) -> Kept:
    return Cache(tmp_path, url=request.getfixturevalue("url") if request.param == "bucket" else None).kept


# What is kept


def test_a_checkpoint_is_none_then_the_last_that_was_saved(kept: Kept) -> None:
    place = kept.place("checkpoints/r/r-0000.pt")
    assert checkpoints.load(place) is None
    for epoch in (1, 2):
        checkpoints.save(place, {"epoch": epoch, "weights": torch.full((1000,), float(epoch))})
    found = checkpoints.load(kept.place("checkpoints/r/r-0000.pt"))
    assert found is not None
    assert found["epoch"] == 2
    assert torch.equal(found["weights"], torch.full((1000,), 2.0))


def test_a_teacher_is_found_by_another_machine(url: str, tmp_path: Path) -> None:
    save_teacher(Cache(tmp_path / "here", url).kept.place("teachers/a.pt"), TEACHER)
    found = load_teacher(Cache(tmp_path / "elsewhere", url).kept.place("teachers/a.pt"))
    assert found is not None
    assert replace(found, weights={}) == replace(TEACHER, weights={})
    assert torch.equal(found.weights["weight"], TEACHER.weights["weight"])
    assert list(tmp_path.iterdir()) == [], "nothing of it lies in the folder"


def test_only_what_is_named_is_removed(kept: Kept) -> None:
    names = ["checkpoints/r/a.pt", "checkpoints/r/b.pt", "checkpoints/r-1/a.pt", "checkpoints/s.pt", "teachers/r.pt"]
    for name in names:
        checkpoints.save(kept.place(name), {"name": name})
    assert kept.names("checkpoints/r") == ["a.pt", "b.pt"]
    assert kept.names("checkpoints/nowhere") == []
    kept.remove("checkpoints/r/a.pt")
    kept.remove("checkpoints/r/a.pt")
    assert kept.names("checkpoints/r") == ["b.pt"]
    kept.remove_folder("checkpoints/r")
    kept.remove_folder("checkpoints/nowhere")
    assert kept.names("checkpoints/r") == []
    assert kept.names("checkpoints/r-1") == ["a.pt"]
    assert "s.pt" in kept.names("checkpoints")
    assert kept.names("teachers") == ["r.pt"]


@pytest.mark.parametrize("step", ["PUT", "POST"], ids=["content", "commit"])
def test_an_upload_that_breaks_off_leaves_what_was_there(step: str, s3: FlakyServer, remote: RemoteFolder) -> None:
    place = remote.place("trial.pt")
    place.write(b"old")
    s3.forbids = lambda request, _: request.startswith(step) and "uploadId=" in request
    with pytest.raises(StoreError, match=r"cannot write trial\.pt in the cache s3://"):
        place.write(b"newer")
    s3.calm()
    assert place.read() == b"old"
    place.write(b"")
    assert place.read() == b""


def test_a_failure_that_passes_is_waited_out(s3: FlakyServer, url: str) -> None:
    waits: list[float] = []
    place = RemoteFolder(url, sleep=waits.append).place("trial.pt")
    s3.failures_left = 2
    place.write(b"whole")
    assert place.read() == b"whole"
    assert len(waits) == 2


# What is refused before anything is spent


def test_a_bucket_that_may_be_used_is_left_as_it_was(s3: FlakyServer, url: str, remote: RemoteFolder) -> None:
    Cache(Path("/nowhere"), url).check()
    assert remote.names("") == []


@pytest.mark.parametrize(
    ("forbidden", "told"),
    [("POST", "write"), ("GET /bucket/", "read"), ("GET /bucket?", "list"), ("DELETE", "delete")],
)
def test_who_may_not_do_all_of_it_is_refused(forbidden: str, told: str, s3: FlakyServer, url: str) -> None:
    s3.forbids = lambda request, _: request.startswith(forbidden)
    with pytest.raises(
        InputError, match=rf"^cannot {told} \.checked-.*ACCESS_DENIED.*; give a place where files can be"
    ):
        Cache(Path("/nowhere"), url).check()


def test_a_run_is_refused_in_one_line_and_leaves_nothing(
    s3: FlakyServer, url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    s3.forbids = lambda request, _: True
    options = ["--epochs", "1", "--budget", "1trial", "--store", str(tmp_path / "runs"), "--cache", url]
    assert command_line(["run", "--policy", "grid", *options]) == 2
    [line] = capsys.readouterr().err.splitlines()
    assert line.startswith("tune-kd: cannot write .checked-")
    assert not (tmp_path / "runs").exists()
    assert (SECRET in line, KEY_ID in line) == (False, False)


def test_who_may_not_list_is_refused(s3: FlakyServer, url: str) -> None:
    """S3 does not tell them that a file is absent: it says Forbidden instead of Not Found."""
    deleted: list[str] = []

    def forbids(request: str, _: str) -> bool:
        deleted.extend([request] * request.startswith("DELETE"))
        return bool(deleted) and request.startswith("HEAD")

    s3.forbids = forbids
    with pytest.raises(InputError, match=r"cannot read \.checked-"):
        Cache(Path("/nowhere"), url).check()


def test_a_missing_bucket_is_refused(s3: FlakyServer) -> None:
    url = s3.url("x").replace("bucket", "no-such-bucket", 1)
    with pytest.raises(InputError, match="NO_SUCH_BUCKET"):
        cache_at(url).check()
    found = checks.remote_cache(cache_at(url))
    assert (found.mark, "NO_SUCH_BUCKET" in found.found) == (checks.FAIL, True)


def test_doctor_says_that_a_bucket_can_be_used(url: str) -> None:
    assert checks.remote_cache(cache_at(url)).mark == checks.OK


@pytest.mark.parametrize("url", ["s3://AKIA123:hunter2secret@bucket/x", "s3://bucket/x?secret_key=hunter2secret"])
def test_credentials_in_the_url_are_refused_and_not_repeated(url: str) -> None:
    with pytest.raises(InputError, match="the URL of a cache must not hold credentials") as refused:
        cache_at(url).check()
    assert "hunter2secret" not in str(refused.value)


# Which cache is meant


def test_without_an_option_the_environment_says_where(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TUNE_KD_CACHE", "s3://bucket/cache/")
    assert cache_at() == Cache(Path.home() / ".cache" / "tune-kd", "s3://bucket/cache")
    assert cache_at(tmp_path) == Cache(tmp_path)
    monkeypatch.setenv("TUNE_KD_CACHE", str(tmp_path))
    assert cache_at() == Cache(tmp_path) == Cache(default_cache())
    assert cache_at("s3://bucket/other") == Cache(tmp_path, "s3://bucket/other")


def test_a_relative_cache_is_the_same_place_for_driver_and_workers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    cache = cache_at("cache")
    monkeypatch.chdir("/")
    assert cache.folder == tmp_path / "cache"


def test_a_file_url_is_a_folder_and_a_path_no_url(tmp_path: Path) -> None:
    assert cache_at(f"file://{tmp_path}") == Cache(tmp_path)
    with pytest.raises(InputError, match="a cache at a URL must be given as text, got the path 's3:/bucket/cache'"):
        cache_at(Path("s3://bucket/cache"))


def test_a_message_tells_how_to_go_on_with_the_same_checkpoints(tmp_path: Path) -> None:
    assert Cache(Path.home() / ".cache" / "tune-kd").option == ""
    assert Cache(tmp_path).option == f" --cache {tmp_path}"
    assert Cache(tmp_path / "my cache").option == f" --cache '{tmp_path}/my cache'"
    assert Cache(tmp_path, "s3://b/c?scheme=http&region=x").option == " --cache 's3://b/c?scheme=http&region=x'"


def test_a_cache_of_the_environment_is_named_for_a_shell_without_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TUNE_KD_CACHE", raising=False)
    assert cache_at().option == ""
    monkeypatch.setenv("TUNE_KD_CACHE", str(tmp_path))
    option = cache_at().option
    monkeypatch.delenv("TUNE_KD_CACHE")
    assert cache_at(option.removeprefix(" --cache ")) == Cache(tmp_path)
