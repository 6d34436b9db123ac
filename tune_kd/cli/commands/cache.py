"""``cache …``: what lies in the cache, and how it is freed."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tune_kd.cli.app import app, example, say
from tune_kd.cli.choices import one_of
from tune_kd.cli.options import CACHE, OPTIONS, option
from tune_kd.cli.shown.ranking_tables import print_json, show
from tune_kd.formats import MISSING, moment, plural, size
from tune_kd.storage.cache import cache_at
from tune_kd.storage.contents import KINDS
from tune_kd.terminal.listing import Listing, table_of

if TYPE_CHECKING:
    from tune_kd.storage.contents import Entry

commands = typer.Typer(rich_markup_mode="rich")
app.add_typer(commands, name="cache")

What = Annotated[
    list[str] | None,
    typer.Argument(
        help=f"Kinds ({', '.join(KINDS)}) and names of entries.",
        metavar="WHAT…",
        show_default="all kinds",
        autocompletion=one_of([*KINDS]),
    ),
]
Where = Annotated[str | None, option(OPTIONS, "The cache.", "DIR|URL", default=CACHE)]


@commands.callback(invoke_without_command=True, epilog=example("tune-kd cache ls", "tune-kd cache rm checkpoints"))
def cache_commands(ctx: typer.Context) -> None:
    """Look into the cache, and free it."""
    if ctx.invoked_subcommand is None:
        print(ctx.get_help())


@commands.command(epilog=example("tune-kd cache ls", "tune-kd cache ls teachers checkpoints"))
def ls(
    what: What = None,
    *,
    cache: Where = None,
    json: Annotated[
        bool, option(OPTIONS, "One JSON document with every entry instead of the table.", "", "--json")
    ] = False,
) -> None:
    """List what lies in the cache: the kinds, or the entries of those that are named."""
    from tune_kd.api.cache_contents import listed

    home = cache_at(cache)
    found = listed(home, what)
    if json:
        print_json(document(home.where, found))
        return
    print(home.where)
    show(table_of(by_name(found) if what else by_kind(found)))


@commands.command(
    epilog=example(
        "tune-kd cache rm checkpoints --older-than 30d",
        "tune-kd cache rm teachers/1f0e0c6ab0c1d2e3.pt data",
        "tune-kd cache rm --all --dry-run",
    )
)
def rm(
    what: What = None,
    *,
    all: Annotated[bool, option(OPTIONS, "Everything.", "", "--all")] = False,
    older_than: Annotated[
        str | None, option(OPTIONS, "Only what was not used for so long, as in 30d, 12h or 90min.", "TIME")
    ] = None,
    dry_run: Annotated[
        bool, option(OPTIONS, "Show what would be removed, and remove nothing.", "", "--dry-run")
    ] = False,
    cache: Where = None,
) -> None:
    """Remove what lies in the cache, for good; what a running study holds stays.

    Without its checkpoints a run keeps its records, but tune-kd export and explain find no student, and resume begins
    interrupted trials again.
    """
    from tune_kd.api.cache_contents import freed

    home = cache_at(cache)
    found = freed(home, what, all=all, older_than=older_than, dry_run=dry_run)
    for entry in found.entries:
        print(f"{'would remove' if dry_run else 'removed'} {entry.name} ({size(entry.bytes)})")
    for entry in found.held:
        say(f"{entry.name} stays, a running study holds it")
    print(f"{'would free' if dry_run else 'freed'} {total(found.entries)} in {home.where}")


def by_kind(found: Sequence[Entry]) -> Listing:
    """A row a kind, and the sum."""
    rows = []
    for kind, text in KINDS.items():
        if of_kind := [entry for entry in found if entry.kind == kind]:
            rows.append((kind, text, str(len(of_kind)), *_size_and_use(of_kind)))
    rows.append(("total", "", str(len(found)), *_size_and_use(found)))
    return Listing(headers=("kind", "what it is", "entries", "size", "last use"), rows=rows)


def by_name(found: Sequence[Entry]) -> Listing:
    """A row an entry, and the sum."""
    rows = [(entry.name, ", ".join(entry.of) or MISSING, *_size_and_use([entry])) for entry in found]
    rows.append(("total", "", *_size_and_use(found)))
    return Listing(headers=("name", "of", "size", "last use"), rows=rows)


def document(where: str, found: Sequence[Entry]) -> dict[str, Any]:
    """The same for ``--json``: bytes, and times as text."""
    return {
        "cache": where,
        "bytes": sum(entry.bytes for entry in found),
        "entries": [
            {
                "kind": entry.kind,
                "name": entry.name,
                "of": [*entry.of],
                "bytes": entry.bytes,
                "used_at": datetime.fromtimestamp(entry.used_s, UTC).isoformat(timespec="seconds"),
                "in_use": entry.in_use,
            }
            for entry in found
        ],
    }


def total(found: Sequence[Entry]) -> str:
    """``3.4 GiB, 12 entries``."""
    return f"{size(sum(entry.bytes for entry in found))}, {plural(len(found), 'entry')}"


def _size_and_use(found: Sequence[Entry]) -> tuple[str, str]:
    last = max((entry.used_s for entry in found), default=None)
    used = MISSING if last is None else moment(datetime.fromtimestamp(last, UTC), datetime.now(UTC))
    return size(sum(entry.bytes for entry in found)), "in use" if any(entry.in_use for entry in found) else used
