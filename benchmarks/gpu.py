"""All that only a machine with a GPU shows, in minutes: speed, sharing of the GPU, the meter, waiting, and records.

    python benchmarks/gpu.py --data DIR [--seconds 420] [--out DIR]
    python benchmarks/gpu.py --device cpu --seconds 60 [--data DIR]

The stages run in the order of their worth, each in a process of its own with a share of the time; what one leaves is
the next one's. One that fails, hangs or runs out of time costs the others nothing: what it had measured stays, and the
output says how it ended. Figures are written as they come: to ``STAGE.jsonl`` while a stage runs, after it to
``figures.json`` and ``figures.md``, all in ``--out``. ``STAGE.log`` has the rest of what a stage said.

With ``--device cpu`` it is a rehearsal: the same code on tiny networks, without what a CPU does not have. Its figures
mean nothing.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil
from gpu_figures import LONGEST, Section, markdown, read

HERE = Path(__file__).parent
KEPT_S = 8.0  # for the driver itself, and for the end of a stage at its limit
LEAST_S = 5.0  # a stage with less is not begun
GRACE_S = 5.0  # between being asked to end and being killed
DONE = "done"
NO_GPU = "failed with status 3"  # of the stage ``machine``


@dataclass(frozen=True, kw_only=True)
class Stage:
    """A program of its own. ``weight`` is its share of the time that it and the stages after it have."""

    name: str
    title: str
    weight: float

    def command(self, options: argparse.Namespace, limit_s: float) -> list[str]:
        words = [sys.executable, str(HERE / f"gpu_{self.name}.py"), "--device", options.device]
        data = ["--data", options.data] if options.data else []
        return [*words, *data, "--seconds", f"{limit_s:.0f}", "--out", str(options.out)]


MACHINE = Stage(name="machine", title="The machine", weight=12)
STAGES = (
    Stage(name="trial", title="One trial", weight=32),
    Stage(name="grid", title="A grid on one GPU", weight=26),
    Stage(name="meter", title="The meter", weight=20),
    Stage(name="waits", title="Waiting for the GPU", weight=10),
    Stage(name="records", title="Records", weight=12),
)


def limit_s(left_s: float, stage: Stage, after: Sequence[Stage]) -> float:
    """The seconds of ``left_s`` that a stage may take."""
    return left_s * stage.weight / sum(one.weight for one in (stage, *after))


def run(command: Sequence[str], limit_s: float, log: Path, environment: dict[str, str]) -> str:
    """Run a program, at most so long, with whatever it starts: how it ended, ``done`` or why not."""
    with log.open("w", encoding="utf-8") as said:
        process = subprocess.Popen(
            command, stdout=said, stderr=subprocess.STDOUT, env=environment, start_new_session=True
        )
        try:
            code = process.wait(limit_s)
        except subprocess.TimeoutExpired:
            return f"ended at its limit of {limit_s:.0f} s"
        finally:
            _end(process)
    if code == 0:
        return DONE
    lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    return f"failed with status {code}: {lines[-1][:LONGEST] if lines else 'it said nothing'}"


def _end(process: subprocess.Popen[bytes]) -> None:
    """End the program, where it still runs, and what it has left running. Ray's workers are of no group of ours."""
    started: list[psutil.Process] = []
    with suppress(psutil.NoSuchProcess):
        started = psutil.Process(process.pid).children(recursive=True)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            process.wait(GRACE_S)
        os.killpg(process.pid, signal.SIGKILL)
    for one in started:
        with suppress(psutil.NoSuchProcess):
            one.kill()
    process.wait()


def measured(stage: Stage, options: argparse.Namespace, limit_s: float) -> Section:
    """Run a stage and read what it has written."""
    path, begun_s = options.out / f"{stage.name}.jsonl", time.monotonic()
    path.unlink(missing_ok=True)
    if limit_s < LEAST_S:
        outcome = f"not begun: {max(limit_s, 0):.0f} s were left for it"
    else:
        hidden = {"CUDA_VISIBLE_DEVICES": ""} if options.device == "cpu" else {}
        log = options.out / f"{stage.name}.log"
        outcome = run(stage.command(options, limit_s), limit_s, log, {**os.environ, **hidden})
    return Section(
        name=stage.name,
        title=stage.title,
        outcome=outcome,
        limit_s=limit_s,
        took_s=time.monotonic() - begun_s,
        figures=read(path),
    )


def write(sections: Sequence[Section], options: argparse.Namespace) -> None:
    """All figures so far, in both forms."""
    said = {"device": options.device, "data": options.data, "seconds": options.seconds}
    whole = {**said, "stages": [asdict(section) for section in sections]}
    (options.out / "figures.json").write_text(json.dumps(whole, indent=2) + "\n", encoding="utf-8")
    (options.out / "figures.md").write_text(markdown(sections), encoding="utf-8")


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--data", help="a folder of images, as for tune-kd run --data; a rehearsal has digits without it")
    made.add_argument("--seconds", type=float, default=420, help="that all of it may take")
    made.add_argument("--out", type=Path, default=Path("gpu-figures"), help="folder of the figures and the store")
    made.add_argument("--device", default="cuda", choices=["cuda", "cpu"])
    return made


def main() -> None:
    asked, began_s = parser(), time.monotonic()
    options = asked.parse_args()
    if options.device == "cuda" and not options.data:
        asked.error("--data is needed on a GPU: a folder of images, as for tune-kd run --data")
    if options.data and not Path(options.data).is_dir():
        asked.error(f"--data must be a folder of images, got {options.data!r}, which is none")
    options.out.mkdir(parents=True, exist_ok=True)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    sections: list[Section] = []
    stages = (MACHINE, *STAGES)
    for number, stage in enumerate(stages, start=1):
        left_s = options.seconds - KEPT_S - (time.monotonic() - began_s)
        sections.append(measured(stage, options, limit_s(left_s, stage, stages[number:])))
        write(sections, options)
        print(markdown(sections[-1:]), flush=True)
        if sections[0].outcome.startswith(NO_GPU):
            sys.exit(sections[0].outcome)


if __name__ == "__main__":
    main()
