"""An address at which no Ray can be is refused in one line and at once."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest
from ray_head import free_ports

from tune_kd.cli import command_line
from tune_kd.config.address import check_address
from tune_kd.errors import InputError


def test_where_somebody_listens_ray_is_asked() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        check_address(f"127.0.0.1:{server.getsockname()[1]}")


def test_auto_is_for_ray_to_find() -> None:
    check_address("auto")


def test_where_nobody_listens_nothing_answers() -> None:
    [port] = free_ports(1)
    with pytest.raises(InputError, match=rf"no Ray cluster answers at '127\.0\.0\.1:{port}': Connection refused"):
        check_address(f"127.0.0.1:{port}")


def test_a_host_without_an_address_is_named() -> None:
    with pytest.raises(InputError, match=r"no Ray cluster answers at 'head\.invalid:6379': .*"):
        check_address("head.invalid:6379")


@pytest.mark.parametrize(
    "address", ["", "local", "127.0.0.1", "head:", ":6379", "head:abc", "head:70000", "http://head:8265"]
)
def test_what_is_no_address_of_a_ray_is_refused(address: str) -> None:
    with pytest.raises(InputError, match="--address must be auto or a running Ray's HOST:PORT, got"):
        check_address(address)


def test_a_run_that_cannot_join_says_so_in_one_line_and_leaves_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    where = ["--store", str(tmp_path / "runs"), "--cache", str(tmp_path / "cache")]
    assert command_line(["run", "--policy", "stochastic", "--address", "head:abc", *where]) == 2
    assert "--address must be auto or a running Ray's HOST:PORT, got 'head:abc'" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_a_ray_client_is_sent_to_ray_job_submit() -> None:
    with pytest.raises(InputError, match=r"'ray://head:10001' is a Ray client's: .* use `ray job submit"):
        check_address("ray://head:10001")
