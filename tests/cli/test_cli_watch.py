"""``watch``: what its page and its text say of a store, who may read it, and that nothing is written."""

from __future__ import annotations

import http.client
import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from cli_records import report, sealed_store, started, study

from tune_kd.api.watching.seen import Page
from tune_kd.api.watching.server import PageServer
from tune_kd.cli import command_line
from tune_kd.errors import InputError, StoreError
from tune_kd.store import Store, create_store, open_store

STUDY = study(["grid", "stochastic"])


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """Grid is through, and of the other run a trial is under way whose journal is being written."""
    store = sealed_store(tmp_path / "runs", STUDY, trials=1)
    run = STUDY.runs[1]
    [row] = store.reader.rows("SELECT * EXCLUDE schema_version FROM runs", ["runs"], runs=[run.run_id]).to_pylist()
    store.write_run({**row, "status": "running", "trials_at_most": 2, "trial_epochs": 30})
    with store.journal(run.run_id, f"{run.run_id}-0001", 0) as journal:
        journal.append(started(run, 1, tau=None))
        journal.append(report(run, 1, 7))
    with journal.path.open("a") as file:
        file.write('{"event": "EpochReport", "run_id"')
    return store


@contextmanager
def serving(page: object, host: str = "127.0.0.1") -> Iterator[PageServer]:
    with PageServer(page, host, 0) as server:  # type: ignore[arg-type]
        server.start()
        yield server


def answer(server: PageServer, path: str = "/", method: str = "GET", **headers: str) -> tuple[int, str, dict[str, str]]:
    connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=300)
    connection.request(method, path, headers={name.replace("_", "-"): value for name, value in headers.items()})
    found = connection.getresponse()
    try:
        return found.status, found.read().decode(), dict(found.getheaders())
    finally:
        connection.close()


def test_the_page_has_runs_trials_curves_and_the_ranking_as_it_stands(store: Store) -> None:
    page = Page(store, 5)()
    text = re.sub(r"<[^>]+>", " ", page)
    assert "1 of 2 runs done" in text
    assert re.search(r"stochastic r0 trial 2\s+—\s+7/30\s+57.0", text)
    assert "screening: 0 of the 10 replicates" in text
    assert '"label": "stochastic r0 trial 2"' in page
    assert "Only grid has results: there is nothing to compare it with." in text


def test_text_says_the_same_once_into_a_pipe(store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    assert command_line(["watch", store.location, "--text"]) == 0
    shown = capsys.readouterr().out
    assert "1 of 2 runs done" in shown
    assert re.search(r"stochastic r0 trial 2 +— +7/30 +57.0", shown)
    assert "screening" in shown


def test_an_empty_store_is_waited_on(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    store = create_store(tmp_path / "runs")
    assert "The store holds no run yet." in Page(store, 5)()
    assert command_line(["watch", store.location, "--text"]) == 0
    assert "The store holds no run yet." in capsys.readouterr().out


def test_watching_writes_nothing(store: Store) -> None:
    def files() -> dict[Path, tuple[int, bytes]]:
        found = (path for path in Path(store.location).rglob("*") if path.is_file())
        return {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in found}

    before = files()
    Page(open_store(store.location), 5)()
    assert files() == before


def test_the_page_is_made_anew_only_after_its_time(store: Store) -> None:
    now = [0.0]
    page = Page(store, 1000, clock=lambda: now[0])
    first = page()
    store.remove_run(STUDY.runs[0].run_id)
    now[0] = 999.0
    assert page() == first
    now[0] = 1001.0
    assert page() != first


def test_a_browser_that_has_the_page_is_not_sent_it_again() -> None:
    with serving(lambda: "<p>τ</p>") as server:
        status, text, headers = answer(server)
        assert (status, text) == (200, "<p>τ</p>")
        assert answer(server, If_None_Match=headers["ETag"])[:2] == (304, "")


def test_a_store_that_cannot_be_read_now_is_said_and_the_server_goes_on() -> None:
    answers: list[str | StoreError] = [StoreError("it is being rewritten"), "there"]

    def page() -> str:
        said = answers.pop(0)
        if isinstance(said, StoreError):
            raise said
        return said

    with serving(page) as server:
        assert answer(server)[:2] == (503, "it is being rewritten")
        assert answer(server)[:2] == (200, "there")


@pytest.mark.parametrize("host", ["evil.example", "evil.example:8484", "127.0.0.1.evil.example", "", "[::1"])
def test_a_name_that_is_not_this_machines_is_refused(host: str) -> None:
    with serving(lambda: "secret") as server:
        status, text, _ = answer(server, Host=host)
    assert (status, "secret" in text) == (403, False)


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:80", "127.0.0.1", "[::1]:80", socket.gethostname()])
def test_an_address_and_a_name_of_this_machine_are_let_in(host: str) -> None:
    with serving(lambda: "page") as server:
        assert answer(server, Host=host)[0] == 200


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "PATCH"])
def test_there_is_nothing_but_reading(method: str) -> None:
    with serving(lambda: "page") as server:
        assert answer(server, method=method)[0] == 501


def test_there_is_nothing_but_the_page() -> None:
    with serving(lambda: "page") as server:
        assert answer(server, "/../etc/passwd")[0] == 404
        assert answer(server, method="HEAD")[:2] == (200, "")


def test_beyond_this_machine_the_token_is_asked_for() -> None:
    with serving(lambda: "secret", "0.0.0.0") as server:
        token = server.token or ""
        assert len(token) >= 20
        assert token in server.url
        for path in ("/", "/?token=", "/?token=wrong", f"/?token={token}x", "/?token=%ff"):
            status, text, _ = answer(server, path)
            assert (status, "secret" in text) == (403, False)
        assert answer(server, f"/?token={token}")[:2] == (200, "secret")
        assert answer(server, f"/?token={token}", Host="evil.example")[0] == 403


def test_a_page_for_this_machine_alone_cannot_be_reached_from_another() -> None:
    with serving(lambda: "page") as server:
        assert server.server_address[0] == "127.0.0.1"
        assert server.token is None


def test_a_port_that_is_taken_is_said_in_a_line() -> None:
    with serving(lambda: "page") as server, pytest.raises(InputError, match=r"give another --port, or 0") as refused:
        PageServer(lambda: "page", "127.0.0.1", server.server_port)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nowhere"], "nowhere is not a tune-kd store"),
        (["{store}", "--port", "70000"], "--port must be from 0 to 65535, got 70000"),
        (["{store}", "--every", "0"], "--every must be > 0, got 0"),
        (["{store}", "--host", "no such host"], "host 'no such host' is no name or address of this machine"),
        (["{store}", "--host", "192.0.2.1", "--port", "0"], "port 0 of 192.0.2.1 cannot be had"),
    ],
)
def test_wrong_input_is_told_in_a_line(
    arguments: list[str], said: str, store: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command_line(["watch", *(word.format(store=store.location) for word in arguments)]) == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1
