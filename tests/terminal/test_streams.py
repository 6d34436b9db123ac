"""Output that an encoding does not have, and streams that are closed or full."""

from __future__ import annotations

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tune_kd.progress.displays import LineProgress
from tune_kd.progress.live_table import RichProgress
from tune_kd.terminal.streams import OutputError, Stderr, Stdout, readable, spelled


@pytest.mark.parametrize(
    ("encoding", "text"),
    [
        ("utf-8", "grid → τ 2–20 × 3 — 0.1 ±0.2 µW é"),
        ("latin-1", "grid -> tau 2-20 × 3 - 0.1 ±0.2 µW é"),
        ("ascii", "grid -> tau 2-20 x 3 - 0.1 +-0.2 uW e"),
    ],
)
def test_what_an_encoding_does_not_have_is_written_as_something_like_it(encoding: str, text: str) -> None:
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding=encoding)
    readable(stream)
    print("grid → τ 2–20 × 3 — 0.1 ±0.2 µW é", end="", file=stream, flush=True)
    assert raw.getvalue().decode(encoding) == text
    assert spelled("grid → τ 2–20 × 3 — 0.1 ±0.2 µW é", encoding) == text


@given(st.text(alphabet=st.characters(min_codepoint=1)), st.sampled_from(["ascii", "latin-1", "cp1252", "utf-8"]))
def test_any_text_can_be_written_in_any_encoding(text: str, encoding: str) -> None:
    stream = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    readable(stream)
    stream.write(text + "\udcff")  # as in a file's name that is no text
    stream.flush()


class Full(io.StringIO):
    """As /dev/full."""

    def write(self, text: str) -> int:
        raise OSError(28, "No space left on device")

    def flush(self) -> None:
        self.write("")


class Unread(io.StringIO):
    """As a pipe after ``head`` has gone."""

    def write(self, text: str) -> int:
        raise BrokenPipeError(32, "Broken pipe")


def closed() -> io.StringIO:
    stream = io.StringIO()
    stream.close()
    return stream


@pytest.mark.parametrize("stream", [Full(), Unread(), closed(), None])
def test_no_display_ends_a_training_because_it_cannot_be_shown(stream: io.StringIO | None) -> None:
    shown = Stderr(stream)
    LineProgress(shown).note("kept")  # type: ignore[arg-type]
    display = RichProgress()
    display.console.file = display.live.console.file = shown  # type: ignore[assignment]
    display.stage("training")
    display.note("kept")
    display.close()


@pytest.mark.parametrize(
    ("stream", "said", "broken_pipe"),
    [
        (Full(), "cannot write to stdout: No space left on device", False),
        (Unread(), "cannot write to stdout: Broken pipe", True),
        (closed(), "cannot write to stdout: I/O operation on closed file", False),
        (None, "cannot write to stdout: it is closed", False),
    ],
)
def test_results_that_cannot_be_printed_are_an_error_of_one_line(
    stream: io.StringIO | None, said: str, broken_pipe: bool
) -> None:
    with pytest.raises(OutputError, match=said) as error:
        print("results", file=Stdout(stream))  # type: ignore[arg-type]
    assert error.value.broken_pipe == broken_pipe
