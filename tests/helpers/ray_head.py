"""A head node as ``ray start`` makes one: a Python environment, a token, ports and a folder of its own."""

from __future__ import annotations

import os
import secrets
import socket
import subprocess
import sys
import sysconfig
import tempfile
import venv
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from tune_kd.cluster.session import STARTS, TOO_SLOW

AGENTS = ("dashboard-agent-listen-port", "dashboard-agent-grpc-port", "runtime-env-agent-port", "metrics-export-port")


@dataclass(frozen=True, kw_only=True)
class Head:
    """A running head node, and the environment variables of whoever has its token."""

    jobs: str  # the job server's URL
    ray: Path
    environment: dict[str, str]

    def submit(self, command: list[str], *options: str | Path) -> str:
        """`ray job submit` with these options; what it and the job said, once the job has succeeded."""
        words = [self.ray, "job", "submit", "--address", self.jobs, *options, "--", *command]
        done = subprocess.run(words, env=self.environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout


@contextmanager
def ray_head(cpus: int) -> Iterator[Head]:
    """Start a head node with a job server, again where a busy machine is too slow; in the end, end every process."""
    with tempfile.TemporaryDirectory(prefix="head", dir="/tmp", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        programs = make_environment(folder / "python")
        (folder / "token").write_text(secrets.token_hex(32), encoding="utf-8")
        environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("RAY_")},
            "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}",
            "PIP_NO_INDEX": "1",
            "RAY_AUTH_MODE": "token",
            "RAY_AUTH_TOKEN_PATH": str(folder / "token"),
            "RAY_worker_niceness": "0",  # as for all tests (tests/conftest.py)
        }
        with ExitStack() as stack:
            yield first_in_time(stack, lambda: head_with(programs, environment, cpus))


def first_in_time(stack: ExitStack, start: Callable[[], AbstractContextManager[Head]]) -> Head:
    """The first head that starts, of as many as a study would start on a busy machine; ``stack`` ends it."""
    for _ in range(STARTS - 1):
        try:
            return stack.enter_context(start())
        except AssertionError as error:
            if TOO_SLOW not in str(error):
                raise
    return stack.enter_context(start())


@contextmanager
def head_with(programs: Path, environment: dict[str, str], cpus: int) -> Iterator[Head]:
    """One start of a head node."""
    port, jobs, client, *agents = free_ports(7)
    with tempfile.TemporaryDirectory(prefix="ray", dir="/tmp", ignore_cleanup_errors=True) as folder:
        options = {
            "num-cpus": cpus,
            "port": port,
            "include-dashboard": "true",
            "dashboard-host": "127.0.0.1",
            "dashboard-port": jobs,
            # Of ports that it is not given, Ray waits for 15 s to be told by its agents.
            **dict(zip(AGENTS, agents, strict=True)),
            "ray-client-server-port": client,
            "temp-dir": folder,
        }
        words = (f"--{name}={value}" for name, value in options.items())
        command = ["start", "--head", "--block", "--disable-usage-stats", *words]
        with started(programs / "ray", *command, environment=environment, until="Ray runtime started"):
            yield Head(jobs=f"http://127.0.0.1:{jobs}", ray=programs / "ray", environment=environment)


@contextmanager
def started(program: Path, *words: str, environment: dict[str, str], until: str) -> Iterator[None]:
    """A program that has said ``until``; in the end, it and all that it has started are killed."""
    with subprocess.Popen(
        [program, *words],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,  # Ray ends its whole process group
    ) as process:
        family = psutil.Process(process.pid)
        try:
            assert process.stdout is not None
            said = ""
            while until not in said and (line := process.stdout.readline()):
                said += line
            assert until in said, said
            yield
        finally:
            everyone = [family, *family.children(recursive=True)]
            for each in everyone:
                with suppress(psutil.NoSuchProcess):
                    each.kill()
            psutil.wait_procs(everyone)


def make_environment(folder: Path) -> Path:
    """Make an environment that has all that this one has and is itself empty; where its programs are.

    Ray copies the environment that it runs in for a job that brings packages, and this one is of gigabytes.
    """
    venv.create(folder, symlinks=True)
    [packages] = folder.glob("lib/python*/site-packages")
    here = sysconfig.get_path("purelib")
    (packages / "all.pth").write_text(f"import site; site.addsitedir({here!r})\n", encoding="utf-8")
    programs = folder / "bin"
    for name in ("ray", "tune-kd"):
        _, script = Path(sys.executable).with_name(name).read_text(encoding="utf-8").split("\n", 1)
        (programs / name).write_text(f"#!{programs / 'python'}\n{script}", encoding="utf-8")
        (programs / name).chmod(0o755)
    return programs


def free_ports(number: int) -> list[int]:
    """Ports of 127.0.0.1 that nobody has just now."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(number)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]
