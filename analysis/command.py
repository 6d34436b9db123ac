"""The command line that every module here shares: ``python -m analysis.X STORE [--by CURRENCY] [--format FORM]``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence

from analysis.rendering.table import FORMATS, Table, check_form, render
from analysis.runs.accounting import CURRENCIES
from analysis.runs.reading import Records, read
from tune_kd import errors
from tune_kd.terminal.streams import readable

Tables = Callable[[Records, str], Sequence[Table]]  # what an analysis makes of records, in a currency


def analysed(tables: Tables, store: str, *, currency: str) -> Sequence[Table]:
    """``tables`` of the records at ``store``. Raises InputError or StoreError."""
    from tune_kd.store import open_store

    if currency not in CURRENCIES:
        raise errors.unknown("currency", currency, CURRENCIES)
    return tables(read(open_store(store), epochs=True), currency)


def main(tables: Tables, doc: str | None, argv: Sequence[str] | None = None) -> int:
    """Prints ``tables(records, currency)`` of the store named on the command line. Exit code 2: wrong input."""
    parser = argparse.ArgumentParser(description=(doc or "").strip().split("\n", 1)[0])
    parser.add_argument("store", metavar="STORE", help="folder or address of the store")
    parser.add_argument("--by", default="energy", metavar="CURRENCY", help=f"one of {', '.join(CURRENCIES)}")
    parser.add_argument("--format", default="md", metavar="FORM", help=f"one of {', '.join(FORMATS)}")
    given = parser.parse_args(argv)
    return printed(lambda: _text(tables, given.store, given.by, given.format))


def _text(tables: Tables, store: str, currency: str, form: str) -> str:
    check_form(form)
    return render(analysed(tables, store, currency=currency), form)


def printed(make: Callable[[], str]) -> int:
    """Prints what ``make`` gives, or its refusal in a line: exit code 2."""
    readable(sys.stdout)
    try:
        print(make())
    except (errors.InputError, errors.StoreError) as error:
        print(error, file=sys.stderr)
        return 2
    return 0
