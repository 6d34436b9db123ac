"""g CO2e recomputed from stored joules, without a run, and what is said below the table."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest
from cli_records import sealed_store, study

from analysis.runs.carbon import drives, recompute
from analysis.runs.reading import Records, read
from tune_kd.cli import command_line
from tune_kd.errors import InputError
from tune_kd.meter.carbon import carbon
from tune_kd.store import open_store

TRIAL_J, SHARED_J, TEACHER_J, INFERENCE_J = 108.0, 50.0, 1000.0, 0.5
KWH = 3.6e6


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Recorded at 500 g/kWh, PUE 1; joules as above, and grams that belong to no intensity."""
    folder = tmp_path_factory.mktemp("footprint") / "runs"
    store = sealed_store(folder, study(["grid", "stochastic"]), trials=1)
    for row in store.reader.rows("SELECT * EXCLUDE schema_version FROM runs", ["runs"]).to_pylist():
        shared = {"shared_energy_j": SHARED_J, "shared_co2e_g": 7.0, "shared_flops": 1.0}
        store.write_run({**row, **shared, "teacher_energy_j": TEACHER_J, "teacher_co2e_g": 7.0})
    return folder


@pytest.fixture
def records(folder: Path) -> Records:
    return read(open_store(folder), epochs=True)


@pytest.mark.parametrize(
    ("given", "intensity", "pue"),
    [
        ({"carbon_intensity": 100.0}, 100, 1.0),
        ({"carbon_intensity": 0.0}, 0, 1.0),
        ({"country": "DEU"}, carbon("DEU").intensity_g_per_kwh, 1.0),
        ({"country": "DEU", "pue": 1.67}, carbon("DEU").intensity_g_per_kwh, 1.67),
        ({"country": "DEU", "carbon_intensity": 100.0}, 100, 1.0),
        ({"pue": 2.0}, 500, 2.0),
    ],
)
def test_every_gram_is_joules_times_pue_times_intensity(
    records: Records, given: dict[str, float], intensity: float, pue: float
) -> None:
    made = recompute(records, **given)  # type: ignore[arg-type]
    factor = pue * intensity / KWH
    assert list(made.trials["co2e_g"]) == pytest.approx([TRIAL_J * factor] * 2)
    assert list(made.trials["inference_co2e_g"]) == pytest.approx([INFERENCE_J * factor] * 2)
    assert list(made.reports["co2e_g"]) == pytest.approx(list(records.reports["energy_j"] * factor))
    assert list(made.runs["shared_co2e_g"]) == pytest.approx([SHARED_J * factor] * 2)
    assert list(made.runs["teacher_co2e_g"]) == pytest.approx([TEACHER_J * factor] * 2)
    assert list(made.outcomes["co2e_g"]) == pytest.approx([(TRIAL_J + SHARED_J) * factor] * 2)
    assert set(made.trials["pue"]) == {pue}
    assert set(made.trials["carbon_g_per_kwh"]) == {intensity}


def test_the_records_themselves_stay_as_they_were(records: Records, folder: Path) -> None:
    before = records.trials.copy()
    recompute(records, country="FRA")
    assert records.trials.equals(before)


def test_what_was_not_measured_stays_unknown(records: Records) -> None:
    unmeasured = Records(**{**vars(records), "trials": records.trials.assign(energy_j=float("nan"))})
    made = recompute(unmeasured, country="FRA")
    assert made.trials["co2e_g"].isna().all()
    assert made.outcomes["co2e_g"].isna().all()


def test_an_unknown_country_is_refused_with_the_nearest(records: Records) -> None:
    with pytest.raises(InputError, match="DEU"):
        recompute(records, country="DEX")


def below_the_table(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[list[str], str]:
    """The lines of the report and all of them as one, wherever they were wrapped."""
    assert command_line(["report", *arguments]) == 0
    lines = capsys.readouterr().out.splitlines()
    return lines, " ".join(line.strip() for line in lines)


def test_a_report_says_where_its_grams_come_from(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _, text = below_the_table(capsys, str(folder))
    assert "CO2e as recorded: 500 g/kWh, test, PUE 1" in text


def test_a_recomputed_report_says_so_and_with_which_source(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    german = carbon("DEU")
    lines, text = below_the_table(capsys, str(folder), "--country", "DEU", "--pue", "1.67", "--format", "md")
    recomputed = f"recomputed from the stored joules: {german.intensity_g_per_kwh:g} g/kWh, {german.source}, PUE 1.67"
    assert recomputed in text
    row = next(line for line in lines if line.startswith("| grid"))
    grams = (TRIAL_J + SHARED_J) / KWH * 1.67 * german.intensity_g_per_kwh
    assert f"{1000 * grams:.1f}" in row  # the column is in mg


def test_a_report_says_how_far_a_car_would_drive(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _, text = below_the_table(capsys, str(folder), "--carbon-intensity", "5486.6")  # 240.8 mg of 158 J
    assert "120.4 g/km" in text
    assert "EEA 2019" in text
    assert "would drive: grid 2.00 m, stochastic 2.00 m" in text


def test_of_many_policies_a_car_would_drive_the_least_to_the_most() -> None:
    table = pd.DataFrame({"label": [f"p{i}" for i in range(18)], "co2e_g": [120.4 * (18 - i) for i in range(18)]})
    [line] = drives(table)
    assert line.endswith("would drive: p17 1.00 km to p0 18.0 km")


def test_machines_get_recomputed_grams_too(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command_line(["report", str(folder), "--carbon-intensity", "100", "--format", "json"]) == 0
    captured = capsys.readouterr()
    [table] = json.loads(captured.out)
    assert [row["co2e_g"] for row in table] == pytest.approx([(TRIAL_J + SHARED_J) / KWH * 100] * 2)
    assert "recomputed from the stored joules: 100 g/kWh, given by the user, PUE 1" in captured.err
