"""What an error says of a name that is none: one line that a person can read to its end."""

from __future__ import annotations

from tune_kd.errors import unknown


def test_all_of_a_catalogue_are_named() -> None:
    assert str(unknown("policy", "gird", ["tpe", "grid"])) == (
        "unknown policy 'gird'; did you mean 'grid'? choices: grid, tpe"
    )


def test_of_hundreds_the_nearest_are_named() -> None:
    runs = [f"20260301-120000-{number:04x}-grid-r0" for number in range(400)]
    line = str(unknown("run", "20260301-120000-0101-gird", runs))
    nearest = "20260301-120000-0101-grid-r0"
    assert line.startswith(
        f"unknown run '20260301-120000-0101-gird'; did you mean {nearest!r}? 400 choices, the nearest: "
    )
    assert line.count("-grid-r0") == 1 + 8
