"""The benchmark of a GPU machine: a stage costs no other, figures stay, and a rehearsal runs every stage on the CPU."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import gpu
import gpu_figures
import gpu_power
import gpu_step
import gpu_trace
import psutil
import pytest
import torch
from fake_nvml import FakeGpu, FakeNvml
from gpu_figures import FAILED, Figures, Section

import tune_kd

PROGRAM = Path(gpu.__file__)
NEEDS_GPU = {
    "a step: kernels",
    "a step as a CUDA graph",
    "grid, one after another: NVML counter",
    "NVML: counter against integrated power",
    "meter against codecarbon's GPU reader",
}


def python(code: str) -> list[str]:
    return [sys.executable, "-c", code]


def test_what_a_stage_leaves_is_the_next_ones() -> None:
    first, *rest = gpu.STAGES
    whole = sum(stage.weight for stage in gpu.STAGES)
    assert gpu.limit_s(100, first, rest) == pytest.approx(100 * first.weight / whole)
    *_, last = gpu.STAGES
    assert gpu.limit_s(42, last, []) == 42


def test_a_stage_that_fails_says_why(tmp_path: Path) -> None:
    log = tmp_path / "log"
    assert gpu.run(python("print('fine')"), 60, log, dict(os.environ)) == gpu.DONE
    outcome = gpu.run(python("raise ValueError('no such card')"), 60, log, dict(os.environ))
    assert outcome == "failed with status 1: ValueError: no such card"
    assert gpu.run(python("import os; os.abort()"), 60, log, dict(os.environ)).startswith("failed with status -6")


def test_a_stage_that_hangs_is_ended_with_what_it_started(tmp_path: Path) -> None:
    log = tmp_path / "log"
    child = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); signal.pause()"
    begin = f"import subprocess, sys; child = subprocess.Popen([sys.executable, '-c', {child!r}])"
    hangs = f"{begin}; print(child.pid, flush=True); child.wait()"
    assert gpu.run(python(hangs), 3, log, dict(os.environ)) == "ended at its limit of 3 s"
    with suppress(psutil.NoSuchProcess):
        psutil.Process(int(log.read_text().split()[0])).wait(300)


def test_figures_stay_when_the_stage_does_not(tmp_path: Path) -> None:
    figures = Figures(tmp_path / "stage.jsonl")
    figures.add("speed", 1234.5, "images/s", "a|b")
    with figures.measuring("energy"):
        raise RuntimeError("out of memory\nat step 3")
    figures.add("loss", float("nan"))
    with figures.path.open("a") as file:
        file.write('{"what": "cut o')
    speed, energy, loss = gpu_figures.read(figures.path)
    assert (speed.value, energy.value, loss.value) == (1234.5, None, None)
    assert energy.note == f"{FAILED}RuntimeError: at step 3"
    section = Section(name="s", title="Speed", outcome="done", limit_s=9, took_s=2, figures=[speed, energy])
    assert "| speed | 1,234 images/s | a\\|b |" in gpu_figures.markdown([section])
    assert gpu_figures.read(tmp_path / "never written.jsonl") == []


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (0.1234, "share", "12.34 %"),
        (2.718, "times", "2.72 times"),
        (0, "", "0"),
        (None, "J", "—"),
        ("H200", "", "H200"),
    ],
)
def test_a_figure_is_shown_with_its_unit(value: float | str | None, unit: str, text: str) -> None:
    assert gpu_figures.shown(gpu_figures.Figure(what="it", value=value, unit=unit)) == text


def test_a_trace_tells_when_the_gpu_was_busy_and_how_often_the_host_waited() -> None:
    def event(cat: str, name: str, ts: float, dur: float) -> dict[str, object]:
        return {"ph": "X", "cat": cat, "name": name, "ts": ts, "dur": dur}

    trace = gpu_trace.read(
        [
            event("kernel", "gemm", 0, 40),
            event("kernel", "relu", 30, 20),  # on another stream, 10 µs at the same time
            event("gpu_memcpy", "Memcpy HtoD", 100, 5),
            event("gpu_user_annotation", "step", 0, 1000),
            event("cuda_runtime", "cudaStreamSynchronize", 60, 1),
            event("cpu_op", "aten::_local_scalar_dense", 59, 3),
            event("cpu_op", "aten::add", 70, 3),
            {"ph": "M", "name": "process_name"},
        ],
        wall_s=1.0,
    )
    assert trace.busy_s == pytest.approx(55e-6)
    assert trace.kernels == 2
    assert trace.waits == {"cudaStreamSynchronize": 1, "aten::_local_scalar_dense": 1}


def test_the_profiler_sees_the_host_take_a_value_from_a_tensor() -> None:
    def work() -> None:
        for _ in range(3):
            torch.ones(2).sum().item()

    assert gpu_trace.traced(work, torch.device("cpu")).waits == {"aten::_local_scalar_dense": 3}


def test_moved_bytes_are_those_of_the_operators_tensors() -> None:
    one, other = torch.ones(10, 100), torch.ones(10, 100)
    assert gpu_step.bytes_of(lambda: one.view(1000)) == 0
    assert gpu_step.bytes_of(lambda: one + other) == 3 * 4000
    assert gpu_step.bytes_of(lambda: one.add_(other)) == 2 * 4000  # its result is its first argument
    assert gpu_step.bytes_of(lambda: torch.ones(1).expand(1000) * 2) == 4 + (4 + 4000)


def test_a_step_is_bound_by_launches_unless_the_gpu_is_busy() -> None:
    assert gpu_step.bound_by(0.5, 0.1, 0.2) == "launches"
    assert gpu_step.bound_by(0.95, 0.1, 0.6) == "memory"
    assert gpu_step.bound_by(0.95, 0.6, 0.1) == "arithmetic"


def test_joules_between_two_moments_come_from_the_counter() -> None:
    samples = [gpu_power.Sample(at_s, energy_j, 100) for at_s, energy_j in ((0, 1000), (1, 1100), (2, 1100), (3, 1400))]
    assert gpu_power.counted_j(samples, 0, 3) == 400
    assert gpu_power.counted_j(samples, 0.5, 2.5) == pytest.approx(1250 - 1050)
    assert gpu_power.counted_j(samples, -5, 9) == 400
    assert gpu_power.integrated_j(samples) == 300
    assert gpu_power.step_s(samples) == 2
    assert gpu_power.step_s(samples[:2]) is None


def test_the_recording_has_the_counter_at_both_ends() -> None:
    card = FakeGpu(energy_mj=5_000, power_mw=300_000)
    with gpu_power.recording(gpu_power.Gpu(FakeNvml(card))) as samples:
        card.energy_mj = 9_000
    assert (samples[0].energy_j, samples[-1].energy_j) == (5, 9)
    assert samples[-1].power_w == 300


@pytest.mark.parametrize(
    ("words", "reason"),
    [([], "--data is needed on a GPU"), (["--device", "cpu", "--data", "/nowhere"], "got '/nowhere', which is none")],
)
def test_what_cannot_be_measured_is_refused(words: list[str], reason: str, tmp_path: Path) -> None:
    command = [sys.executable, str(PROGRAM), *words, "--out", str(tmp_path)]
    refused = subprocess.run(command, capture_output=True, text=True, check=False)
    assert refused.returncode == 2
    assert reason in refused.stderr


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_a_rehearsal_on_the_cpu_goes_through_every_stage(tmp_path: Path) -> None:
    """It takes 2 minutes on two idle cores; the limits of its stages leave room for ten strangers on them."""
    words = ["--device", "cpu", "--seconds", "1700", "--out", str(tmp_path / "figures")]
    environment = {**os.environ, "TUNE_KD_CACHE": str(tmp_path / "cache")}
    subprocess.run([sys.executable, str(PROGRAM), *words], env=environment, capture_output=True, check=True)
    whole = json.loads((tmp_path / "figures" / "figures.json").read_text())
    stages = (gpu.MACHINE, *gpu.STAGES)
    assert [(section["name"], section["outcome"]) for section in whole["stages"]] == [
        (stage.name, gpu.DONE) for stage in stages
    ]
    figures = {figure["what"]: figure for section in whole["stages"] for figure in section["figures"]}
    assert [figure for figure in figures.values() if figure["note"].startswith(FAILED)] == []
    assert {what for what, figure in figures.items() if figure["value"] is None} >= NEEDS_GPU
    assert figures["waits for the device, a batch"]["value"] == 0
    assert "skipped" in figures["tests marked gpu"]["value"]
    page = (tmp_path / "figures" / "figures.md").read_text()
    assert all(f"### {stage.title}" in page for stage in stages)
    trials = tune_kd.open_store(tmp_path / "figures" / "store").trials()
    assert set(trials.status) == {"completed"}
    assert len(trials) == 2 * (2 + 1)  # of two replicates, each with a grid of two and one stochastic trial
