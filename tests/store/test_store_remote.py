"""Stores at a URL: a real S3 server, its failures included; journals stay here, and secrets get nowhere."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
from s3_server import KEY_ID, SECRET, FlakyServer
from store_records import contents, report, run_row, started, write_trial, write_whole_run

from tune_kd.errors import InputError, StoreError
from tune_kd.storage.remote_folder import WAITS_S
from tune_kd.storage.urls import scrubbed
from tune_kd.store import Store, create_store, open_store
from tune_kd.store.files import marker
from tune_kd.store.files.remote_files import RemoteFiles


@pytest.fixture
def url(s3: FlakyServer, request: pytest.FixtureRequest) -> Iterator[str]:
    yield f"s3://bucket/{request.node.name}/runs"
    s3.calm()


@pytest.fixture
def store(url: str, tmp_path: Path) -> Store:
    return create_store(url, cache=tmp_path / "cache")


def test_what_is_written_to_s3_is_read_from_another_machine(store: Store, url: str, tmp_path: Path) -> None:
    local = create_store(tmp_path / "local")
    for each in (store, local):
        write_whole_run(each, "r")
    assert contents(open_store(url, cache=tmp_path / "elsewhere")) == contents(local)
    assert store.verify() == []


def test_a_store_is_found_again_and_what_is_not_one_is_refused(store: Store, url: str, tmp_path: Path) -> None:
    write_whole_run(store, "r")
    assert create_store(url, cache=tmp_path / "b").runs()["run_id"].tolist() == ["r"]
    with pytest.raises(InputError, match=r"is not a tune-kd store and not empty \(it holds 'runs'\)"):
        create_store(url.removesuffix("/runs"), cache=tmp_path)
    with pytest.raises(InputError, match="is not a tune-kd store; it has no"):
        open_store(f"{url}-other", cache=tmp_path)


def test_the_journal_stays_on_this_machine_until_it_is_sealed(
    store: Store, s3: FlakyServer, url: str, tmp_path: Path
) -> None:
    with store.journal("r", "r-0000", 0) as journal:
        s3.requests.clear()
        journal.append(started("r", 0))
        journal.append(report("r", 0, 1))
        assert s3.requests == []
        assert journal.path.is_relative_to(tmp_path / "cache")
    [orphan] = store.seal_orphans()
    assert (orphan.trial_id, orphan.energy_j) == ("r-0000", 10.0)
    assert open_store(url, cache=tmp_path / "elsewhere").trials()["status"].tolist() == ["lost"]


def test_another_machine_neither_seals_nor_loses_what_is_driven_here(store: Store, url: str, tmp_path: Path) -> None:
    store.write_run(run_row("theirs", status="running"))
    with store.journal("theirs", "theirs-0000", 0) as journal:
        journal.append(started("theirs", 0))
    assert open_store(url, cache=tmp_path / "elsewhere").seal_orphans() == []
    lease = store.lease("ours")
    lease.__enter__()
    store.write_run(run_row("ours", status="running"))
    lease.__exit__(KeyboardInterrupt, KeyboardInterrupt(), None)  # as Ctrl-C leaves the with statement
    assert [(orphan.run_id, orphan.trial_id) for orphan in store.seal_orphans()] == [
        ("theirs", "theirs-0000"),
        ("ours", None),
    ]
    assert store.runs()["status"].tolist() == ["lost", "running"]


def test_compaction_removal_and_merging_work_there_too(store: Store, url: str, tmp_path: Path) -> None:
    write_whole_run(store, "a")
    local = create_store(tmp_path / "local")
    write_whole_run(local, "b")
    store.merge(local)
    before = contents(store)
    assert store.compact()["trials"] == 3
    elsewhere = open_store(url, cache=tmp_path / "elsewhere")
    assert contents(elsewhere) == before
    store.write_run(run_row("a", status="stopped"))
    assert elsewhere.runs()["status"].tolist() == ["stopped", "completed"]
    store.remove_run("a")
    assert contents(elsewhere) == contents(local)
    assert elsewhere.verify() == []


def test_sealed_trials_are_fetched_once(store: Store, s3: FlakyServer) -> None:
    write_whole_run(store, "r")
    store.trials()
    s3.requests.clear()
    assert len(store.trials()) == 3
    assert [request for request in s3.requests if request.startswith("GET") and "/trials/r-" in request] == []


def test_failures_that_pass_are_waited_out(s3: FlakyServer, url: str, tmp_path: Path) -> None:
    waits: list[float] = []
    files = RemoteFiles(url, tmp_path, sleep=waits.append)
    marker.prepare(files)
    store = Store(files)
    for index in range(3):
        s3.failures_left = 1 + index
        write_trial(store, "r", index)
    s3.failures_left = 3
    assert len(store.reports()) == 9
    assert waits
    assert set(waits) <= set(WAITS_S)


def test_a_failure_that_stays_is_told_and_loses_nothing(s3: FlakyServer, url: str, tmp_path: Path) -> None:
    waits: list[float] = []
    files = RemoteFiles(url, tmp_path, sleep=waits.append)
    marker.prepare(files)
    store = Store(files)
    journal = store.journal("r", "r-0000", 0)
    journal.append(started("r", 0))
    journal.append(report("r", 0, 1))
    s3.failures_left = 1_000_000
    with pytest.raises(StoreError, match=r"cannot write reports/r-0000-0.parquet in the store s3://") as refused:
        store.seal("r", "r-0000", 0)
    assert "\n" not in str(refused.value)
    assert waits == list(WAITS_S)
    s3.failures_left = 0
    store.seal("r", "r-0000", 0)
    assert store.trials()["energy_j"].tolist() == [10.0]


def test_what_cannot_pass_is_not_tried_again(s3: FlakyServer, tmp_path: Path) -> None:
    waits: list[float] = []
    files = RemoteFiles("s3://no-such-bucket/runs", tmp_path, sleep=waits.append)
    with pytest.raises(StoreError, match="NO_SUCH_BUCKET"):
        files.put("a", b"")
    assert waits == []
    with pytest.raises(InputError, match=r"cannot make a store at s3://no-such-bucket/runs: .*; give a place"):
        create_store("s3://no-such-bucket/runs", cache=tmp_path)


def test_credentials_reach_no_record_no_file_and_no_message(
    store: Store, s3: FlakyServer, url: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    write_whole_run(store, "r")
    with store.journal("r", "r-0009", 0) as journal:
        journal.append(started("r", 9))
    store.compact()
    contents(store)
    store.export(tmp_path / "export")
    files = RemoteFiles(url, tmp_path / "cache", sleep=lambda _: None)
    s3.failures_left = 1_000_000
    with pytest.raises(StoreError) as refused:
        files.get("tune-kd-store.json")
    s3.failures_left = 0
    remote = b"".join(
        files.get(f"{folder}/{name}")
        for folder in ("runs", "trials", "reports", "nodes")
        for name in files.names(folder)
    )
    local = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    text = f"{refused.value} {refused.value.__context__} {caplog.text} {store!r}".encode()
    for secret in (SECRET, KEY_ID):
        assert secret.encode() not in remote + local + text


def test_a_message_is_scrubbed_of_what_the_environment_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOME_SERVICE_TOKEN", "tok-1234567890")
    assert scrubbed("GET /x?auth=tok-1234567890\n failed") == "GET /x?auth=$SOME_SERVICE_TOKEN failed"


@pytest.mark.parametrize(
    "url",
    [
        "s3://AKIA123:hunter2secret@bucket/runs",
        "s3://bucket/runs?secret_key=hunter2secret",
        "gs://x/y?sig=hunter2secret",
    ],
)
def test_credentials_in_a_url_are_refused_and_not_repeated(url: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="must not hold credentials") as refused:
        create_store(url, cache=tmp_path)
    assert "hunter2secret" not in str(refused.value)


def test_a_scheme_nobody_knows_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot open a store at nosuch://x/y"):
        create_store("nosuch://x/y", cache=tmp_path)


def test_any_file_system_of_fsspec_can_hold_a_store(tmp_path: Path) -> None:
    store = create_store("memory://bucket/runs", cache=tmp_path)
    write_whole_run(store, "r")
    store.compact()
    assert len(open_store("memory://bucket/runs", cache=tmp_path / "elsewhere").reports()) == 9
    assert store.verify() == []


def test_a_file_url_is_a_folder(tmp_path: Path) -> None:
    create_store(f"file://{tmp_path}/runs")
    assert open_store(tmp_path / "runs").runs().empty
