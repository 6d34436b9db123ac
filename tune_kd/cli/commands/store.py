"""``store …``: what a store holds, and its upkeep."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tune_kd.cli.app import FAILED, app, example, say
from tune_kd.cli.options import CACHE, OPTIONS, STORE, option
from tune_kd.cli.shown.ranking_tables import show
from tune_kd.errors import InputError, StoreError
from tune_kd.formats import plural
from tune_kd.terminal.listing import Listing, table_of

if TYPE_CHECKING:
    from tune_kd.results.store import RecordedStore

commands = typer.Typer(rich_markup_mode="rich")
app.add_typer(commands, name="store")

Where = Annotated[str, option(OPTIONS, "The store.", STORE)]
Run = Annotated[str, typer.Argument(help="The id of a run: see tune-kd store ls.", metavar="RUN")]


@commands.callback(invoke_without_command=True, epilog=example("tune-kd store ls", "tune-kd store verify"))
def store_commands(ctx: typer.Context) -> None:
    """Look into a store of records, and keep it."""
    if ctx.invoked_subcommand is None:
        print(ctx.get_help())


@commands.command(epilog=example("tune-kd store schema"))
def schema() -> None:
    """Show the tables of a store, as Markdown: every column with its type, unit and meaning."""
    from tune_kd.store.schema import document

    print(document(), end="")


@commands.command(epilog=example("tune-kd store ls", "tune-kd store ls --store s3://bucket/runs"))
def ls(*, store: Where = "./runs") -> None:
    """List the runs of a store, the latest study first."""
    from tune_kd.api.catalogues import runs

    show(table_of(runs(store)))


@commands.command("show", epilog=example("tune-kd store show 20260301-120000-1a2b-grid-r0"))
def show_command(run: Run, *, store: Where = "./runs") -> None:
    """Show all that is recorded of a run: its row, its trials and its nodes."""
    from tune_kd.cli.shown.run_record import listings

    record = _open(store).show_run(run)
    for place, listing in enumerate(listings(record)):
        if place:
            print()
        show(table_of(listing))


@commands.command(epilog=example("tune-kd store verify", "tune-kd store verify --store laptop"))
def verify(*, store: Where = "./runs") -> None:
    """Check every file against its checksum, and what is packed against what was sealed; exit code 1 on a fault."""
    opened = _open(store)
    faults = opened.verify()
    for unknown in opened.uncompared():
        say(str(unknown))
    if faults:
        show(table_of(Listing(headers=("file", "what", "why"), rows=[(f.file, f.kind, f.detail) for f in faults])))
        wrong = sum(fault.is_read for fault in faults)
        but = f", but with the wrong rows of {plural(wrong, 'file')}" if wrong else ""
        raise StoreError(f"{plural(len(faults), 'file')} of {store} cannot be used; reading goes on without them{but}")
    print(f"{store} is sound: {plural(len(opened.runs(['run_id'])), 'run')}, every file as it was written")


@commands.command(epilog=example("tune-kd store compact"))
def compact(*, store: Where = "./runs") -> None:
    """Pack the many small files of ended trials into few large ones; others may read and write meanwhile."""
    packed = {table: count for table, count in _open(store).compact().items() if count}
    files = ", ".join(f"{count} of {table}" for table, count in packed.items())
    print(f"packed in {store}: {files}" if packed else f"nothing to pack in {store}")


@commands.command(
    epilog=example("tune-kd store rm 20260301-120000-1a2b-grid-r0", "tune-kd store rm 20260301-120000-1a2b")
)
def rm(
    names: Annotated[
        list[str], typer.Argument(help="The ids of runs, or of studies for all of theirs.", metavar="RUN|STUDY…")
    ],
    *,
    store: Where = "./runs",
    cache: Annotated[str | None, option(OPTIONS, "Where its checkpoints are.", "DIR|URL", default=CACHE)] = None,
    yes: Annotated[bool, option(OPTIONS, "Do not ask.", "", "--yes", "-y")] = False,
) -> None:
    """Remove runs with all their records and their checkpoints, for good."""
    opened = _open(store)
    what = _in_words(opened, opened.run_ids(names))
    if not yes and not _agreed(f"remove {what} from {store}?"):
        say("nothing was removed")
        raise typer.Exit(FAILED)
    opened.forget_run(*names, cache=cache)
    print(f"removed {what} from {store}")


def _in_words(opened: RecordedStore, run_ids: list[str]) -> str:
    """'RUN (completed, 2 trials)', or '4 runs (3 completed, 1 running; 40 trials)'."""
    statuses = opened.runs(["status"], run_ids=run_ids)["status"].value_counts()
    trials = plural(opened.trials(["trial_id"], run_ids=run_ids)["trial_id"].nunique(), "trial")
    if len(run_ids) == 1:
        return f"{run_ids[0]} ({statuses.index[0]}, {trials})"
    counts = ", ".join(f"{count} {status}" for status, count in statuses.items())
    return f"{plural(len(run_ids), 'run')} ({counts}; {trials})"


@commands.command(
    epilog=example(
        "tune-kd store export --csv tables",
        "tune-kd store export --jsonl tables --codecarbon emissions.csv --store s3://bucket/runs",
    )
)
def export(
    *,
    csv: Annotated[str | None, option(OPTIONS, "Write each table as CSV to this folder.", "DIR")] = None,
    jsonl: Annotated[str | None, option(OPTIONS, "Write each table as JSON lines to this folder.", "DIR")] = None,
    codecarbon: Annotated[
        str | None, option(OPTIONS, "Write all trials as codecarbon's emissions.csv.", "FILE")
    ] = None,
    store: Where = "./runs",
) -> None:
    """Write the records in formats of other tools; says which files it wrote."""
    if csv is None and jsonl is None and codecarbon is None:
        raise InputError("nothing to export was named; give --csv DIR, --jsonl DIR or --codecarbon FILE")
    opened = _open(store)
    for form, folder in (("csv", csv), ("jsonl", jsonl)):
        if folder is not None:
            _say_written(opened.export(folder, form))
    if codecarbon is not None:
        _say_written([opened.export_emissions(codecarbon)])


@commands.command(epilog=example("tune-kd store merge laptop cluster", "tune-kd store merge laptop --store all"))
def merge(
    sources: Annotated[list[str], typer.Argument(help="The stores to take from.", metavar="FROM…")],
    *,
    store: Annotated[str, option(OPTIONS, "The store to bring them to; made where there is none.", STORE)] = "./runs",
) -> None:
    """Bring the runs of other stores into one; a run that is there already is recognised."""
    from tune_kd.store import create_store

    opened = [_open(source) for source in sources]
    merged = create_store(store).merge(*opened)
    for what, run_ids in (("added", merged.added), ("updated", merged.updated)):
        for run_id in run_ids:
            print(f"{what} {run_id}")
    counts = f"{len(merged.added)} added, {len(merged.updated)} updated, {len(merged.known)} known already"
    print(f"{store}: {counts}")


def _open(store: str) -> RecordedStore:
    from tune_kd.results.store import open_store

    return open_store(store)


def _agreed(question: str) -> bool:
    """What the user answers; Enter means no. Raises InputError where nobody can answer."""
    if not sys.stdin.isatty():
        raise InputError("there is nobody to ask; add --yes to remove without a question")
    try:
        return typer.confirm(question, err=True)
    except typer.Abort:  # Ctrl-C, or the end of what can be typed
        raise KeyboardInterrupt from None


def _say_written(files: Iterable[Path]) -> None:
    for file in files:
        print(file)
